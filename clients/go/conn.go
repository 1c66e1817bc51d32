// Package tradebook connects Go programs to a tradebook server: a [Conn] carries the
// calls of the generated clients in package tradebookv1, as a grpc.ClientConn would.
//
//	conn, err := tradebook.NewClient("tcp://127.0.0.1:7601")
//	signals := tradebookv1.NewSignalServiceClient(conn)
//	signal, err := signals.GetSignal(ctx, &tradebookv1.GetSignalRequest{Id: proto.Int64(17)})
//
// Deadlines and cancellation are the context's, metadata is that of package metadata,
// errors are those of package status, with google.rpc.BadRequest in their details
// when the request was wrong.
//
// A call is sent again when the connection was lost or the server answered
// UNAVAILABLE, until its deadline. Each call that writes carries a request id, the
// same each time, so that it has the effect of one. A write that ended with
// DEADLINE_EXCEEDED, UNAVAILABLE or CANCELLED may have happened; calling again with
// the same id (see [WithRequestID]) is safe and tells.
package tradebook

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	defaultTimeout  = 10 * time.Second
	defaultMaxReply = 16 << 20
)

// Conn is a connection to a server, to be shared by the whole process: any number of
// goroutines may call at the same time. It connects when it is first used, and again
// when the connection is lost.
type Conn struct {
	address       address
	eventsAddress *address // nil: there is none
	timeout       time.Duration
	maxReply      int
	clientID      string
	tls           *tls.Config
	credentials   []credentials.PerRPCCredentials
	unary         []grpc.UnaryClientInterceptor
	streaming     []grpc.StreamClientInterceptor

	connector *connector
	target    *grpc.ClientConn // what interceptors are told; carries no calls

	closing context.Context // ends when Close is called, and with it all streams
	close   context.CancelFunc
	mu      sync.Mutex
	streams sync.WaitGroup // streams whose cursors are not stored yet; none is added after closing, guarded by mu
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// NewClient prepares calls to the server at an address: tcp://HOST:PORT,
// tls+tcp://HOST:PORT or ipc:///PATH. It does not connect yet; calls wait for a
// server that is not there. It fails when an address or an option is wrong.
func NewClient(serverAddress string, options ...Option) (*Conn, error) {
	parsed, err := parseAddress(serverAddress)
	if err != nil {
		return nil, err
	}
	c := &Conn{address: parsed, timeout: defaultTimeout, maxReply: defaultMaxReply}
	for _, option := range options {
		if err := option(c); err != nil {
			return nil, err
		}
	}
	// Interceptors may ask for its Target.
	c.target, err = grpc.NewClient("passthrough:///"+serverAddress,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	c.closing, c.close = context.WithCancel(context.Background())
	c.connector = newConnector(c.dialer(parsed, protocolReq, spIDBytes+uint64(c.maxReply)))
	return c, nil
}

func (c *Conn) dialer(to address, protocol byte, maxFrame uint64) *dialer {
	config := &tls.Config{}
	if c.tls != nil {
		config = c.tls.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = to.host
	}
	return &dialer{address: to, tls: config, protocol: protocol, maxFrame: maxFrame}
}

// Close ends calls and streams that are under way with CANCELLED, after it has stored
// the cursors of the streams, and closes the connection.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
	c.streams.Wait()
	c.connector.close()
	return c.target.Close()
}

// addStream counts a stream with a cursor, unless the client was closed.
func (c *Conn) addStream() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing.Err() != nil {
		return false
	}
	c.streams.Add(1)
	return true
}
