import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/** A server of the JDK's own TLS: ADDRESS PORT PKCS12 PASSWORD VERSION... */
final class TlsServer {
    private static final int WAIT_MS = 10_000;

    public static void main(String[] arguments) throws Exception {
        // What the JDK has and no longer does unless it is told to: TLS 1.0 and 1.1, and old suites.
        java.security.Security.setProperty("jdk.tls.disabledAlgorithms", "NULL");
        char[] password = arguments[3].toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream file = Files.newInputStream(Path.of(arguments[2]))) {
            store.load(file, password);
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, password);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        int port = Integer.parseInt(arguments[1]);
        InetAddress address = InetAddress.getByName(arguments[0]);
        SSLServerSocket listener =
                (SSLServerSocket) context.getServerSocketFactory().createServerSocket(port, 64, address);
        listener.setEnabledProtocols(java.util.Arrays.copyOfRange(arguments, 4, arguments.length));
        while (true) {
            SSLSocket connection = (SSLSocket) listener.accept();
            Thread thread = new Thread(() -> serve(connection));
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** One handshake; then read until the peer is gone. */
    private static void serve(SSLSocket connection) {
        try (connection) {
            connection.setSoTimeout(WAIT_MS);
            connection.startHandshake();
            InputStream input = connection.getInputStream();
            while (input.read() >= 0) {
                // what it says does not matter
            }
        } catch (IOException error) {
            System.out.println(error);
        }
    }
}
