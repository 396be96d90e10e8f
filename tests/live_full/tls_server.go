// A server of Go's crypto/tls: ADDRESS LOWEST HIGHEST CHAIN KEY, the versions by their numbers (0x0301 and so on).
package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"time"
)

func number(text string) uint16 {
	value, err := strconv.ParseUint(text, 0, 16)
	if err != nil {
		log.Fatal(err)
	}
	return uint16(value)
}

func main() {
	certificate, err := tls.LoadX509KeyPair(os.Args[4], os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	configuration := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   number(os.Args[2]),
		MaxVersion:   number(os.Args[3]),
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(tls.Server(connection, configuration))
	}
}

// serve makes one handshake, and then reads until the peer is gone.
func serve(connection *tls.Conn) {
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(10 * time.Second))
	if err := connection.Handshake(); err != nil {
		log.Print(err)
		return
	}
	io.Copy(io.Discard, connection)
}
