package tradebook

import (
	"context"
	"crypto/tls"
	"strings"

	// Status.Details finds BadRequest by it.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tradebook/tradebook/clients/go/tradebookv1"
)

const (
	clientIDKey      = "client-id"
	statusDetailsKey = "grpc-status-details-bin"
)

// newEnvelope makes what all tries of a call send, but for the time that is left.
func (c *Conn) newEnvelope(ctx context.Context, method string, args any, settings *callSettings) (*tradebookv1.Request, error) {
	request, ok := args.(proto.Message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "%s: the request is a %T, not a protobuf message", method, args)
	}
	payload, err := proto.Marshal(request)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "%s: the request cannot be serialised: %v", method, err)
	}
	if settings.maxSend > 0 && len(payload) > settings.maxSend {
		return nil, status.Errorf(codes.ResourceExhausted, "%s: the request has %d bytes; the call allows %d",
			method, len(payload), settings.maxSend)
	}
	md, err := c.metadataOf(ctx, method, settings)
	if err != nil {
		return nil, err
	}
	envelope := &tradebookv1.Request{Method: &method, Payload: payload, RequestId: takeRequestID(md, method)}
	for key, values := range md {
		for _, value := range values {
			envelope.Metadata = append(envelope.Metadata,
				&tradebookv1.Metadata{Key: proto.String(key), Value: []byte(value)})
		}
	}
	return envelope, nil
}

// metadataOf joins the metadata of the context, the client's name, and what
// credentials add.
func (c *Conn) metadataOf(ctx context.Context, method string, settings *callSettings) (metadata.MD, error) {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		md = metadata.MD{}
	}
	if c.clientID != "" && len(md.Get(clientIDKey)) == 0 {
		md.Set(clientIDKey, c.clientID)
	}
	for _, of := range c.credentials {
		if err := c.addCredentials(ctx, method, of, md); err != nil {
			return nil, err
		}
	}
	for _, of := range settings.credentials {
		if err := c.addCredentials(ctx, method, of, md); err != nil {
			return nil, err
		}
	}
	return md, nil
}

func (c *Conn) addCredentials(ctx context.Context, method string, of credentials.PerRPCCredentials, to metadata.MD) error {
	way := c.address.security()
	if of.RequireTransportSecurity() && way.SecurityLevel != credentials.PrivacyAndIntegrity {
		return status.Errorf(codes.Unauthenticated,
			"%s: the credentials must not travel readable over %s; connect by tls+tcp:// or ipc://", method, c.address.text)
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	ctx = credentials.NewContextWithRequestInfo(ctx, credentials.RequestInfo{Method: method, AuthInfo: way})
	more, err := of.GetRequestMetadata(ctx, c.address.text+"/"+service)
	if err != nil {
		if _, ok := status.FromError(err); ok {
			return err
		}
		return status.Errorf(codes.Unauthenticated, "%s: the credentials gave nothing to send: %v", method, err)
	}
	for key, value := range more {
		to.Append(key, value)
	}
	return nil
}

// newFrame makes the request of one try.
func newFrame(x *exchange, envelope *tradebookv1.Request) ([]byte, error) {
	options := proto.MarshalOptions{UseCachedSize: true}
	return options.MarshalAppend(x.newRequest(proto.Size(envelope)), envelope)
}

// readReply stores the response, or returns the error that the reply is, with the
// trailing metadata.
func readReply(method string, envelope *tradebookv1.Reply, settings *callSettings, reply any) (metadata.MD, error) {
	if code := envelope.GetCode(); code != tradebookv1.Code_CODE_OK {
		return readError(envelope)
	}
	response, ok := reply.(proto.Message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "%s: the response is a %T, not a protobuf message", method, reply)
	}
	payload := envelope.GetPayload()
	if settings.maxReceive > 0 && len(payload) > settings.maxReceive {
		return nil, status.Errorf(codes.ResourceExhausted, "%s: the response has %d bytes; the call allows %d",
			method, len(payload), settings.maxReceive)
	}
	if err := proto.Unmarshal(payload, response); err != nil {
		return nil, status.Errorf(codes.Internal, "%s: the response cannot be read as %s; client and server differ: %v",
			method, response.ProtoReflect().Descriptor().FullName(), err)
	}
	return metadata.MD{}, nil
}

func readError(envelope *tradebookv1.Reply) (metadata.MD, error) {
	code := codes.Code(envelope.GetCode())
	if code > codes.Unauthenticated {
		code = codes.Unknown
	}
	rich := &spb.Status{Code: int32(code), Message: envelope.GetMessage(), Details: envelope.GetDetails()}
	return trailerOf(rich), status.ErrorProto(rich)
}

// trailerOf is the trailing metadata in which gRPC carries the details of an error.
func trailerOf(rich *spb.Status) metadata.MD {
	if len(rich.GetDetails()) == 0 {
		return metadata.MD{}
	}
	bytes, err := proto.Marshal(rich)
	if err != nil {
		return metadata.MD{}
	}
	return metadata.Pairs(statusDetailsKey, string(bytes))
}

func (x *exchange) peer() *peer.Peer {
	from := &peer.Peer{Addr: x.conn.RemoteAddr(), LocalAddr: x.conn.LocalAddr()}
	if secure, ok := x.conn.Conn.(*tls.Conn); ok {
		from.AuthInfo = credentials.TLSInfo{
			State:          secure.ConnectionState(),
			CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		}
	}
	return from
}
