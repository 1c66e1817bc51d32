package tradebook

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Option is a setting of a [Conn].
type Option func(*Conn) error

// WithEventsAddress names the address where the server publishes events, written as
// the server's address. Without it Subscribe waits in ListEvents, which is a little
// slower.
func WithEventsAddress(eventsAddress string) Option {
	return func(c *Conn) error {
		parsed, err := parseAddress(eventsAddress)
		c.eventsAddress = &parsed
		return err
	}
}

// WithTimeout is how long a call may take, with all its tries, when its context has
// no deadline. The default is 10 seconds.
func WithTimeout(timeout time.Duration) Option {
	return func(c *Conn) error {
		c.timeout = timeout
		if timeout < time.Millisecond {
			return fmt.Errorf("the timeout is %v; it must be a millisecond at least", timeout)
		}
		return nil
	}
}

// WithMaxReplySize is the size in bytes of the largest reply that is accepted. A
// larger one closes the connection. The default is 16 MiB.
func WithMaxReplySize(bytes int) Option {
	return func(c *Conn) error {
		c.maxReply = bytes
		if bytes < 1 {
			return fmt.Errorf("the largest reply is %d bytes; it must be 1 at least", bytes)
		}
		return nil
	}
}

// WithClientID says who calls. Request ids of different clients are independent.
func WithClientID(id string) Option {
	return func(c *Conn) error {
		c.clientID = id
		return nil
	}
}

// WithTLSConfig is used for addresses that start with tls+tcp://. The default trusts
// the authorities that this machine trusts and insists on a certificate for the host
// of the address.
func WithTLSConfig(config *tls.Config) Option {
	return func(c *Conn) error {
		c.tls = config
		return nil
	}
}

// WithToken sends "authorization: Bearer TOKEN" with each call. Over tcp:// anybody
// on the way can read it: use tls+tcp:// or ipc:// unless the server is on this
// machine.
func WithToken(token string) Option {
	return WithPerRPCCredentials(bearer(token))
}

// WithPerRPCCredentials asks these for metadata of each call. Those that require
// transport security work with tls+tcp:// and ipc:// only.
func WithPerRPCCredentials(of credentials.PerRPCCredentials) Option {
	return func(c *Conn) error {
		c.credentials = append(c.credentials, of)
		return nil
	}
}

// WithUnaryInterceptors puts interceptors around each call, the first outermost. The
// grpc.ClientConn that they get tells the address and carries no calls.
func WithUnaryInterceptors(interceptors ...grpc.UnaryClientInterceptor) Option {
	return func(c *Conn) error {
		c.unary = append(c.unary, interceptors...)
		return nil
	}
}

// WithStreamInterceptors puts interceptors around each stream, the first outermost.
// The grpc.ClientConn that they get tells the address and carries no calls.
func WithStreamInterceptors(interceptors ...grpc.StreamClientInterceptor) Option {
	return func(c *Conn) error {
		c.streaming = append(c.streaming, interceptors...)
		return nil
	}
}

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool {
	return false
}
