package tradebook

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// callSettings is what the options of one call say.
type callSettings struct {
	headers     []*metadata.MD
	trailers    []*metadata.MD
	peers       []*peer.Peer
	onFinish    []func(error)
	credentials []credentials.PerRPCCredentials
	maxReceive  int // 0: no limit of its own
	maxSend     int
}

func readCallOptions(options []grpc.CallOption) (callSettings, error) {
	var settings callSettings
	for _, option := range options {
		switch o := option.(type) {
		case grpc.HeaderCallOption:
			settings.headers = append(settings.headers, o.HeaderAddr)
		case grpc.TrailerCallOption:
			settings.trailers = append(settings.trailers, o.TrailerAddr)
		case grpc.PeerCallOption:
			settings.peers = append(settings.peers, o.PeerAddr)
		case grpc.OnFinishCallOption:
			settings.onFinish = append(settings.onFinish, o.OnFinish)
		case grpc.PerRPCCredsCallOption:
			settings.credentials = append(settings.credentials, o.Creds)
		case grpc.MaxRecvMsgSizeCallOption:
			settings.maxReceive = o.MaxRecvMsgSize
		case grpc.MaxSendMsgSizeCallOption:
			settings.maxSend = o.MaxSendMsgSize
		case grpc.CompressorCallOption, grpc.ContentSubtypeCallOption, grpc.ForceCodecCallOption,
			grpc.ForceCodecV2CallOption, grpc.CustomCodecCallOption:
			return settings, status.Errorf(codes.Unimplemented,
				"the call option %T is not possible: messages are plain protobuf; leave it out", option)
		}
		// The others change nothing here: a call always waits for the server.
	}
	return settings, nil
}

// ofCallsWithin returns the options for the calls that a stream with these makes.
func (s *callSettings) ofCallsWithin() []grpc.CallOption {
	var options []grpc.CallOption
	for _, of := range s.credentials {
		options = append(options, grpc.PerRPCCredentials(of))
	}
	return options
}

// received stores what came with the end of a call.
func (s *callSettings) received(from *peer.Peer, trailer metadata.MD) {
	for _, header := range s.headers {
		*header = metadata.MD{}
	}
	for _, to := range s.trailers {
		*to = trailer
	}
	for _, to := range s.peers {
		*to = *from
	}
}

func (s *callSettings) finish(err error) {
	for _, call := range s.onFinish {
		call(err)
	}
}
