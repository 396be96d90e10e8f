"""How names are resolved: questions and replies, one name server with its sockets and limits, what is remembered."""
