// Command node is a double of a Hysteria 2 server for tests: the public wire protocol for TCP, HTTP auth, an ACL, and the
// traffic statistics API with its kick set. UDP relaying is left out.
package main

import (
	"encoding/json"
	"encoding/pem"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("node: ")
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:0", "UDP address for clients")
	flag.StringVar(&s.statsListen, "stats-listen", "127.0.0.1:0", "address of the traffic statistics API")
	flag.StringVar(&s.statsSecret, "stats-secret", "", "secret of the traffic statistics API")
	flag.StringVar(&s.authURL, "auth-url", "", "URL that is asked whom to let in")
	flag.StringVar(&s.obfsPassword, "obfs-password", "", "salamander password; empty means no obfuscation")
	flag.DurationVar(&s.idleTimeout, "idle-timeout", 30*time.Second, "how long a silent connection lives")
	aclRules := flag.String("acl", "", "rules for where clients are connected to, one a line")
	controlListen := flag.String("control-listen", "127.0.0.1:0", "address of the test-only control API")
	certFile := flag.String("tls-cert", "", "PEM certificate chain; one is made when it is empty")
	keyFile := flag.String("tls-key", "", "PEM private key of -tls-cert")
	flag.Parse()

	rules, err := parseACL(*aclRules)
	if err != nil {
		return err
	}
	s.acl = rules
	certificate, pin, err := certificateOf(*certFile, *keyFile)
	if err != nil {
		return err
	}
	s.certificate = certificate
	n := newNode(s)
	if err := n.start(); err != nil {
		return err
	}
	control, err := net.Listen("tcp", *controlListen)
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(control, n.control()) }()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{
		"listen":      n.settings.listen,
		"stats":       "http://" + n.settings.statsListen,
		"control":     "http://" + control.Addr().String(),
		"pinSHA256":   pin,
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})),
	}); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	return n.stop()
}
