// Load creates many VpnUsers at once and waits until each is Ready with its Secret.
//
// With -bare it also makes the writes that an operator has to make for a new user, one behind the other and nothing else:
// the yardstick for an operator on the same machine, in the same run.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	group = "/apis/vpn-operator.io/v1alpha1"
	apply = "application/apply-patch+yaml"
	plain = "application/json"
)

type object struct {
	Metadata struct {
		Name              string  `json:"name"`
		UID               string  `json:"uid"`
		Generation        int64   `json:"generation"`
		ResourceVersion   string  `json:"resourceVersion"`
		DeletionTimestamp *string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Conditions         []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

func (o *object) ready() bool {
	if o.Status.ObservedGeneration != o.Metadata.Generation {
		return false
	}
	for _, condition := range o.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}

type server struct {
	url, token, namespace string
	client                *http.Client
}

func (s *server) ask(ctx context.Context, method, path, contentType string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", contentType)
	return s.client.Do(request)
}

func (s *server) must(method, path, contentType string, body any) error {
	answer, err := s.ask(context.Background(), method, path, contentType, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s answered %d: %s", method, path, answer.StatusCode, content)
	}
	return nil
}

func (s *server) users() string { return group + "/namespaces/" + s.namespace + "/vpnusers" }

// watch calls seen for every object of a kind that is there, comes or changes, until the context ends.
func (s *server) watch(ctx context.Context, path string, seen func(*object)) error {
	for {
		// The server ends a watch whenever it likes; the next one begins with all that is there.
		if err := s.watchOnce(ctx, path, seen); !errors.Is(err, io.EOF) {
			return err
		}
	}
}

func (s *server) watchOnce(ctx context.Context, path string, seen func(*object)) error {
	answer, err := s.ask(ctx, "GET", path+"?watch=1", plain, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("watch of %s answered %d", path, answer.StatusCode)
	}
	decoder := json.NewDecoder(answer.Body)
	for {
		var event struct {
			Type   string `json:"type"`
			Object object `json:"object"`
		}
		if err := decoder.Decode(&event); err != nil {
			return err
		}
		if event.Type == "ERROR" {
			return fmt.Errorf("watch of %s: an error from the server", path)
		}
		if event.Type != "DELETED" {
			seen(&event.Object)
		}
	}
}

func identifier(prefix string, number int) string { return fmt.Sprintf("%s%06d", prefix, number) }

func user(id string) map[string]any {
	return map[string]any{
		"apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser",
		"metadata": map[string]any{"name": strings.ToLower(id)},
		"spec":     map[string]any{"corporateId": id, "owner": "Somebody of the company", "email": strings.ToLower(id) + "@example.com"},
	}
}

// write makes the four writes for one new user: finalizer, Secret, status, Event.
func (s *server) write(o *object) error {
	name, id := o.Metadata.Name, strings.ToUpper(o.Metadata.Name)
	now := time.Now().UTC()
	stamp := now.Format(time.RFC3339)
	identity := map[string]any{"apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser"}
	by := "?fieldManager=bare&force=true"
	finalizer := map[string]any{
		"apiVersion": identity["apiVersion"], "kind": "VpnUser",
		"metadata": map[string]any{"name": name, "finalizers": []string{"vpn-operator.io/access"}},
	}
	if err := s.must("PATCH", s.users()+"/"+name+by, apply, finalizer); err != nil {
		return err
	}
	link := "hysteria2://corp_" + name + ":0123456789abcdefghijklmnopqrstuv@127.0.0.1:443/?insecure=1&pinSHA256=" + strings.Repeat("ab", 32) + "#" + id
	secret := map[string]any{
		"apiVersion": "v1", "kind": "Secret",
		"metadata": map[string]any{
			"name": name + "-vpn", "labels": map[string]any{"app.kubernetes.io/managed-by": "vpn-operator"},
			"ownerReferences": []any{map[string]any{
				"apiVersion": identity["apiVersion"], "kind": "VpnUser", "name": name, "uid": o.Metadata.UID,
				"controller": true, "blockOwnerDeletion": true,
			}},
		},
		"stringData": map[string]any{
			"hy2_url": link, "subscription_url": "http://127.0.0.1:8080/sub/" + strings.Repeat("s", 43),
			"username": "corp_" + name, "password": "0123456789abcdefghijklmnopqrstuv",
		},
	}
	if err := s.must("PATCH", "/api/v1/namespaces/"+s.namespace+"/secrets/"+name+"-vpn"+by, apply, secret); err != nil {
		return err
	}
	conditions := []any{}
	for _, kind := range []string{"Ready", "Granted"} {
		conditions = append(conditions, map[string]any{
			"type": kind, "status": "True", "reason": "Active", "message": "", "lastTransitionTime": stamp,
			"observedGeneration": o.Metadata.Generation,
		})
	}
	status := map[string]any{
		"apiVersion": identity["apiVersion"], "kind": "VpnUser", "metadata": map[string]any{"name": name},
		"status": map[string]any{
			"observedGeneration": o.Metadata.Generation, "access": "Granted", "reason": "Active", "username": "corp_" + name,
			"secretName": name + "-vpn", "gateways": []any{map[string]any{"name": "default", "account": "Present"}},
			"conditions": conditions, "epoch": 1, "credentialGeneration": 1,
		},
	}
	if err := s.must("PATCH", s.users()+"/"+name+"/status"+by, apply, status); err != nil {
		return err
	}
	event := map[string]any{
		"apiVersion": "events.k8s.io/v1", "kind": "Event",
		"metadata": map[string]any{"name": fmt.Sprintf("%s.%x", name, now.UnixNano()), "namespace": s.namespace},
		"regarding": map[string]any{
			"apiVersion": identity["apiVersion"], "kind": "VpnUser", "name": name, "namespace": s.namespace, "uid": o.Metadata.UID,
		},
		"eventTime": now.Format("2006-01-02T15:04:05.000000Z07:00"), "type": "Normal", "reason": "Granted", "action": "Grant",
		"note": "access granted", "reportingController": "bare", "reportingInstance": "bare",
	}
	return s.must("POST", "/apis/events.k8s.io/v1/namespaces/"+s.namespace+"/events", plain, event)
}

func main() {
	log.SetFlags(0)
	var (
		s         server
		authority = flag.String("ca", "", "file with the certificate authority of the server")
		count     = flag.Int("users", 1000, "how many users")
		from      = flag.Int("from", 0, "number of the first one")
		prefix    = flag.String("prefix", "LD", "letters before the number")
		workers   = flag.Int("workers", 16, "how many create at a time")
		writers   = flag.Int("writers", 32, "how many users are written for at a time, with -bare")
		bare      = flag.Bool("bare", false, "make the operator's writes")
		deadline  = flag.Duration("deadline", 5*time.Minute, "give up after this")
	)
	flag.StringVar(&s.url, "server", "", "URL of the API server")
	flag.StringVar(&s.token, "token", os.Getenv("LOAD_TOKEN"), "bearer token; LOAD_TOKEN otherwise")
	flag.StringVar(&s.namespace, "namespace", "default", "namespace of the users")
	flag.Parse()
	pem, err := os.ReadFile(*authority)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64,
	}}
	ctx, cancel := context.WithTimeout(context.Background(), *deadline)
	defer cancel()

	wanted := map[string]bool{}
	for number := range *count {
		wanted[strings.ToLower(identifier(*prefix, *from+number))] = true
	}
	var (
		lock                  sync.Mutex
		known, ready, secrets = map[string]bool{}, map[string]bool{}, map[string]bool{}
		work                  = make(chan *object, *count)
		done                  = make(chan struct{})
		once                  sync.Once
	)
	failed := func(err error) {
		if err != nil && ctx.Err() == nil {
			log.Fatal(err)
		}
	}
	complete := func() {
		if len(ready) == *count && len(secrets) == *count {
			once.Do(func() { close(done) })
		}
	}
	go func() {
		failed(s.watch(ctx, s.users(), func(o *object) {
			lock.Lock()
			defer lock.Unlock()
			if !wanted[o.Metadata.Name] {
				return
			}
			if !known[o.Metadata.Name] {
				known[o.Metadata.Name] = true
				work <- o
			}
			if o.ready() {
				ready[o.Metadata.Name] = true
				complete()
			}
		}))
	}()
	go func() {
		failed(s.watch(ctx, "/api/v1/namespaces/"+s.namespace+"/secrets", func(o *object) {
			lock.Lock()
			defer lock.Unlock()
			if name, ours := strings.CutSuffix(o.Metadata.Name, "-vpn"); ours && wanted[name] {
				secrets[name] = true
				complete()
			}
		}))
	}()
	if *bare {
		for range *writers {
			go func() {
				for o := range work {
					failed(s.write(o))
				}
			}()
		}
	}
	began := time.Now()
	numbers := make(chan int)
	var creating sync.WaitGroup
	for range *workers {
		creating.Go(func() {
			for number := range numbers {
				failed(s.must("POST", s.users()+"?fieldManager=git", plain, user(identifier(*prefix, number))))
			}
		})
	}
	for number := range *count {
		numbers <- *from + number
	}
	close(numbers)
	creating.Wait()
	created := time.Since(began)
	select {
	case <-done:
	case <-ctx.Done():
		lock.Lock()
		log.Fatalf("after %v %d of %d are ready and %d have a Secret", *deadline, len(ready), *count, len(secrets))
	}
	failed(json.NewEncoder(os.Stdout).Encode(map[string]float64{"created": created.Seconds(), "ready": time.Since(began).Seconds()}))
}
