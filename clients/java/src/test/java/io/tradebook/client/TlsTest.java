package io.tradebook.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.tradebook.v1.AdminServiceGrpc;
import io.tradebook.v1.EchoRequest;
import io.tradebook.v1.EchoResponse;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class TlsTest {
  private static final char[] PASSWORD = "password".toCharArray();
  private static final EchoRequest ECHO =
      EchoRequest.newBuilder().setPayload(ByteString.copyFrom(new byte[100_000])).build();

  @TempDir static Path folder;
  private static SSLContext context;

  /** One certificate, for localhost, which both sides have. */
  @BeforeAll
  static void makeCertificate() throws Exception {
    Path file = folder.resolve("keys.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "server",
                "-keyalg",
                "EC",
                "-dname",
                "CN=localhost",
                "-ext",
                "san=dns:localhost",
                "-keystore",
                file.toString(),
                "-storepass",
                new String(PASSWORD))
            .inheritIO()
            .start();
    assertEquals(0, keytool.waitFor());
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream stream = Files.newInputStream(file)) {
      keys.load(stream, PASSWORD);
    }
    KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    own.init(keys, PASSWORD);
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    trusted.setCertificateEntry("server", keys.getCertificate("server"));
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    context = SSLContext.getInstance("TLS");
    context.init(own.getKeyManagers(), trust.getTrustManagers(), null);
  }

  private static FakeServer server() throws Exception {
    ServerSocket listener =
        context
            .getServerSocketFactory()
            .createServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
    return new FakeServer(
        listener, call -> call.ok(EchoResponse.parseFrom(call.request().getPayload())));
  }

  private static EchoResponse echo(String address, boolean trusts) {
    TradebookChannelBuilder builder =
        TradebookChannel.builder(address).defaultTimeout(Duration.ofSeconds(trusts ? 10 : 1));
    if (trusts) {
      builder.tls(context);
    }
    try (TradebookChannel channel = builder.build()) {
      return AdminServiceGrpc.newBlockingStub(channel).echo(ECHO);
    }
  }

  @Test
  void callsGoOverTls() throws Exception {
    try (FakeServer server = server()) {
      EchoResponse response = echo("tls+tcp://localhost:" + server.port(), true);
      assertEquals(ECHO.getPayload(), response.getPayload());
    }
  }

  @Test
  void aServerThatIsNotTrustedGetsNoRequest() throws Exception {
    try (FakeServer server = server()) {
      String address = "tls+tcp://localhost:" + server.port();
      Status status;
      do {
        status = assertThrows(StatusRuntimeException.class, () -> echo(address, false)).getStatus();
        assertEquals(Status.Code.UNAVAILABLE, status.getCode());
        // On a busy machine the time of the call may be over before the handshake is.
      } while (!status.getDescription().contains("certification path"));
      assertEquals(0, server.requests().size());
    }
  }

  @Test
  void aServerOfAnotherNameGetsNoRequest() throws Exception {
    try (FakeServer server = server();
        TradebookChannel channel =
            TradebookChannel.builder("tls+tcp://127.0.0.1:" + server.port())
                .tls(context)
                .defaultTimeout(Duration.ofSeconds(1))
                .build()) {
      assertThrows(
          StatusRuntimeException.class, () -> AdminServiceGrpc.newBlockingStub(channel).echo(ECHO));
      assertEquals(0, server.requests().size());
    }
  }
}
