// Command panel is a double of a Blitz panel for tests: its users API, which works on one call at a time and takes its time for it,
// its auth service, and its scheduler. Its Hysteria server is a process of its own, told to it by the control API.
package main

import (
	"encoding/json"
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
	log.SetPrefix("panel: ")
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	token := flag.String("token", "", "API token")
	root := flag.String("root", "rootpath", "path under which the API is published")
	pace := flag.Float64("pace", 0.1, "calls, the sleep on a wrong password and the scheduler take so many times what was measured")
	flag.Parse()

	p := newPanel(*token, *root, *pace)
	serve := func(handler http.Handler) (string, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		go func() { _ = http.Serve(listener, handler) }()
		return "http://" + listener.Addr().String(), nil
	}
	api, err := serve(p.api())
	if err != nil {
		return err
	}
	// A process of its own at a real panel: it answers while the API works.
	auth, err := serve(http.HandlerFunc(p.authenticate))
	if err != nil {
		return err
	}
	control, err := serve(p.control())
	if err != nil {
		return err
	}
	go p.schedule(time.Minute)
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{
		"api":     api + "/" + *root,
		"auth":    auth + "/auth",
		"control": control,
	}); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	return nil
}
