package tradebook

import (
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc/credentials"
)

// address is a place where a server listens.
type address struct {
	text    string // as the caller wrote it
	network string // of package net: "tcp" or "unix"
	target  string // HOST:PORT or a path
	host    string // whom the certificate of a TLS server must name
	isTLS   bool
}

func parseAddress(text string) (address, error) {
	scheme, target, _ := strings.Cut(text, "://")
	parsed := address{text: text, network: "tcp", target: target, isTLS: scheme == "tls+tcp"}
	switch scheme {
	case "tcp", "tls+tcp":
		host, port, err := net.SplitHostPort(target)
		if err != nil || host == "" || port == "" {
			return address{}, fmt.Errorf("the address %q must be %s://HOST:PORT", text, scheme)
		}
		parsed.host = host
	case "ipc":
		if target == "" {
			return address{}, fmt.Errorf("the address %q must be ipc:///PATH", text)
		}
		parsed.network = "unix"
	default:
		return address{}, fmt.Errorf("the address %q must be tcp://HOST:PORT, tls+tcp://HOST:PORT or ipc:///PATH", text)
	}
	return parsed, nil
}

// security tells per-call credentials how well the way to the address protects
// them.
func (a address) security() security {
	if a.isTLS || a.network == "unix" {
		return security{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	}
	return security{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}
}

type security struct {
	credentials.CommonAuthInfo
}

func (s security) AuthType() string {
	return s.SecurityLevel.String()
}
