package tradebook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

// metadataServer answers echoes and tells the metadata of the last one.
func metadataServer(t *testing.T) (*fake, func() []string) {
	heard := make(chan []string, 1)
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		var entries []string
		for _, entry := range r.GetMetadata() {
			entries = append(entries, entry.GetKey()+"="+string(entry.GetValue()))
		}
		slices.Sort(entries)
		heard <- entries
		c.echo(id, r)
	})
	return server, func() []string { return <-heard }
}

type secret struct{}

func (secret) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	return map[string]string{"secret": info.Method + " " + uri[0]},
		credentials.CheckSecurityLevel(info.AuthInfo, credentials.PrivacyAndIntegrity)
}

func (secret) RequireTransportSecurity() bool { return true }

func TestMetadataIsThatOfTheContextTheClientAndItsCredentials(t *testing.T) {
	server, heard := metadataServer(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "Trace", "a", "trace", "b")
	for _, call := range []struct {
		ctx     context.Context
		options []tradebook.Option
		want    []string
	}{
		{t.Context(), nil, nil},
		{ctx, nil, []string{"trace=a", "trace=b"}},
		{ctx, []tradebook.Option{tradebook.WithClientID("bot"), tradebook.WithToken("xyz")},
			[]string{"authorization=Bearer xyz", "client-id=bot", "trace=a", "trace=b"}},
		{metadata.AppendToOutgoingContext(t.Context(), "client-id", "own"),
			[]tradebook.Option{tradebook.WithClientID("bot")}, []string{"client-id=own"}},
	} {
		if err := echo(call.ctx, open(t, server.address, call.options...)); err != nil {
			t.Fatal(err)
		}
		if got := heard(); !slices.Equal(got, call.want) {
			t.Errorf("sent %v, not %v", got, call.want)
		}
	}
}

func TestSecretCredentialsAreNotSentReadable(t *testing.T) {
	server, _ := metadataServer(t)
	wantCode(t, echo(t.Context(), open(t, server.address), grpc.PerRPCCredentials(secret{})), codes.Unauthenticated, "readable")
	wantCode(t, echo(t.Context(), open(t, server.address, tradebook.WithPerRPCCredentials(secret{}))), codes.Unauthenticated)
}

func TestCallOptions(t *testing.T) {
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) { c.echo(id, r) })
	conn := open(t, server.address)
	var header, trailer metadata.MD
	var from peer.Peer
	finished := []error{}
	onFinish := grpc.OnFinish(func(err error) { finished = append(finished, err) })
	if err := echo(t.Context(), conn, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from), onFinish); err != nil {
		t.Fatal(err)
	}
	if header == nil || trailer == nil || "tcp://"+from.Addr.String() != server.address {
		t.Errorf("got the header %v, the trailer %v, the peer %v", header, trailer, from)
	}
	wantCode(t, echo(t.Context(), conn, grpc.MaxCallSendMsgSize(3), onFinish), codes.ResourceExhausted, "6 bytes")
	wantCode(t, echo(t.Context(), conn, grpc.MaxCallRecvMsgSize(3)), codes.ResourceExhausted, "6 bytes")
	wantCode(t, echo(t.Context(), conn, grpc.UseCompressor(gzip.Name)), codes.Unimplemented, "Compressor")
	if len(finished) != 2 || finished[0] != nil || finished[1] == nil {
		t.Errorf("OnFinish was told %v", finished)
	}
}

func TestInterceptorsAreCalledInOrderAndKnowTheTarget(t *testing.T) {
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) { c.ok(id, &pb.ListEventsResponse{}) })
	var calls []string
	unary := func(name string) grpc.UnaryClientInterceptor {
		return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
			calls = append(calls, name+" "+cc.Target())
			return next(ctx, method, req, reply, cc, options...)
		}
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		calls = append(calls, "stream "+cc.Target())
		return next(ctx, desc, cc, method, options...)
	}
	conn := open(t, server.address,
		tradebook.WithUnaryInterceptors(unary("one"), unary("two")), tradebook.WithStreamInterceptors(stream))
	if _, err := pb.NewEventServiceClient(conn).Subscribe(t.Context(), &pb.SubscribeRequest{}); err != nil {
		t.Fatal(err)
	}
	// A stream's own calls pass the interceptors of calls.
	want := []string{"stream", "one", "two"}
	for i := range calls {
		want[i] += " passthrough:///" + server.address
	}
	if !slices.Equal(calls, want) {
		t.Errorf("called %v, not %v", calls, want)
	}
}

// certificate makes a certificate for a host, and who trusts it.
func certificate(t *testing.T, host string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func TestTLS(t *testing.T) {
	config, trusted := certificate(t, "localhost")
	server := startFake(t, rep, config)
	server.answer = func(c *fakeConn, id uint32, r *pb.Request) { c.echo(id, r) }
	go server.serve()
	byName := strings.Replace(server.address, "127.0.0.1", "localhost", 1)

	conn := open(t, byName, tradebook.WithTLSConfig(&tls.Config{RootCAs: trusted}), tradebook.WithPerRPCCredentials(secret{}))
	var from peer.Peer
	if err := echo(t.Context(), conn, grpc.Peer(&from)); err != nil {
		t.Fatal(err)
	}
	if info, ok := from.AuthInfo.(credentials.TLSInfo); !ok || len(info.State.PeerCertificates) != 1 {
		t.Errorf("the peer is %v", from)
	}
	wantUnavailable(t, open(t, byName, short), "unknown authority")
	wantUnavailable(t, open(t, server.address, short, tradebook.WithTLSConfig(&tls.Config{RootCAs: trusted})), "IP SANs")
}
