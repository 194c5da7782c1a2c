package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a call takes on an idle machine with two cores, as measured.
const (
	listTime   = 785 * time.Millisecond
	getTime    = 705 * time.Millisecond
	addTime    = 1415 * time.Millisecond
	patchTime  = 934 * time.Millisecond
	deleteTime = 1646 * time.Millisecond
	uriTime    = 683 * time.Millisecond
)

// gap is how much of a write's time lies between its kick and its write.
const gap = 0.4

// penalty is how long the auth service sleeps on a wrong password.
const penalty = 5 * time.Second

var accountName = regexp.MustCompile(`^[a-zA-Z0-9_]+\n?$`)

// panel is the whole of it. `turn` is had by the one call that is worked on; `mu` guards what is kept.
type panel struct {
	token, root string
	pace        float64
	server      server
	turn        sync.Mutex

	mu       sync.Mutex
	accounts map[string]*account
	calls    []call
}

// call is one of the API's, for tests.
type call struct {
	Method string   `json:"method"`
	Name   string   `json:"name"`
	Fields []string `json:"fields"`
}

func newPanel(token, root string, pace float64) *panel {
	return &panel{token: token, root: root, pace: pace, accounts: map[string]*account{}, calls: []call{}}
}

func (p *panel) scaled(measured time.Duration) time.Duration {
	return time.Duration(float64(measured) * p.pace)
}

// api answers under the root path, and only whoever has the token.
func (p *panel) api() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, takes time.Duration, do func(name string, body fields) (int, any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { p.work(w, r, takes, do) })
	}
	handle("GET /users/{$}", listTime, func(string, fields) (int, any) { return p.list() })
	handle("POST /users/{$}", addTime, func(_ string, body fields) (int, any) { return p.add(body) })
	handle("GET /users/{name}", getTime, func(name string, _ fields) (int, any) { return p.get(name) })
	handle("PATCH /users/{name}", patchTime, p.patch)
	handle("DELETE /users/{name}", deleteTime, func(name string, _ fields) (int, any) { return p.remove(name) })
	handle("POST /users/uri/bulk", uriTime, func(_ string, body fields) (int, any) { return p.links(body) })
	return http.StripPrefix("/"+p.root+"/api/v1", mux)
}

type fields = map[string]any

func detail(status int, text string) (int, any) {
	return status, fields{"status": status, "detail": text}
}

func done(status int, text string) (int, any) {
	return status, fields{"detail": text}
}

// work does one call, when its turn comes. That the caller goes away does not end it.
func (p *panel) work(w http.ResponseWriter, r *http.Request, takes time.Duration, do func(string, fields) (int, any)) {
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	switch r.Header.Get("Authorization") {
	case p.token:
	case "":
		answer(detail(http.StatusUnauthorized, "Unauthorized."))
		return
	default:
		answer(detail(http.StatusUnauthorized, "Invalid API token."))
		return
	}
	body := fields{}
	if sent, err := io.ReadAll(r.Body); err != nil || (len(sent) > 0 && json.Unmarshal(sent, &body) != nil) {
		answer(http.StatusUnprocessableEntity, fields{"detail": []fields{{"type": "json_invalid"}}})
		return
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	name := r.PathValue("name")
	if name == "" {
		name, _ = body["username"].(string)
	}
	p.mu.Lock()
	p.calls = append(p.calls, call{r.Method, name, slices.Sorted(maps.Keys(body))})
	p.mu.Unlock()
	before := takes
	if r.Method == http.MethodPatch || r.Method == http.MethodDelete {
		before = time.Duration(float64(takes) * (1 - gap))
	}
	time.Sleep(p.scaled(before))
	answer(do(r.PathValue("name"), body))
}

func (p *panel) list() (int, any) {
	online, _ := p.server.online()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.accounts) == 0 {
		return detail(http.StatusBadRequest, "Error: 404: No users found.")
	}
	all := []listed{}
	for _, name := range slices.Sorted(maps.Keys(p.accounts)) {
		all = append(all, p.accounts[name].show(name, online[name]))
	}
	return http.StatusOK, all
}

func (p *panel) get(name string) (int, any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := strings.ToLower(name)
	if a, known := p.accounts[key]; known {
		return http.StatusOK, a.show(key, a.lastOnline)
	}
	return detail(http.StatusInternalServerError, fmt.Sprintf("An unexpected error occurred: User '%s' not found in the database.", name))
}

func (p *panel) add(body fields) (int, any) {
	name, _ := body["username"].(string)
	limit, limited := body["traffic_limit"].(float64)
	days, lasts := body["expiration_days"].(float64)
	if !accountName.MatchString(name) || !limited || !lasts {
		return http.StatusUnprocessableEntity, fields{"detail": []fields{{"type": "value_error", "input": body}}}
	}
	key := strings.ToLower(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.accounts[key]; known {
		return detail(http.StatusConflict, fmt.Sprintf("User '%s' already exists.", name))
	}
	a := &account{Password: "generated", Limit: int64(limit) * gigabyte, Days: int(days)}
	if password, _ := body["password"].(string); password != "" {
		a.Password = password
	}
	a.Unlimited, _ = body["unlimited"].(bool)
	if note, given := body["note"].(string); given {
		a.Note = &note
	}
	p.accounts[key] = a
	return done(http.StatusCreated, fmt.Sprintf("User %s has been added.", name))
}

// kick comes before every write, and with it what the server counted.
func (p *panel) kick(name string, measured time.Duration) error {
	if err := p.server.kick([]string{name}); err != nil {
		return err
	}
	if err := p.collect(); err != nil {
		return err
	}
	time.Sleep(p.scaled(time.Duration(float64(measured) * gap)))
	return nil
}

func kickFailed(name string) (int, any) {
	return detail(http.StatusBadRequest, fmt.Sprintf("Error: Failed to execute kick user script: Command '['kickuser.py', '%s']' returned non-zero exit status 1.", name))
}

func (p *panel) patch(name string, body fields) (int, any) {
	for _, field := range []string{"new_password", "note"} {
		if text, _ := body[field].(string); strings.HasPrefix(text, "-") && !strings.Contains(text, " ") {
			return detail(http.StatusBadRequest, fmt.Sprintf("Error: edit_user.py: error: argument of %s: expected one argument", text))
		}
	}
	key := strings.ToLower(name)
	if p.kick(key, patchTime) != nil {
		return kickFailed(key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, known := p.accounts[key]
	if !known {
		return detail(http.StatusBadRequest, fmt.Sprintf("Error: User '%s' not found.", name))
	}
	if password, given := body["new_password"].(string); given {
		a.Password = password
	}
	if limit, given := body["new_traffic_limit"].(float64); given {
		a.Limit = int64(limit) * gigabyte
	}
	if days, given := body["new_expiration_days"].(float64); given {
		a.Days = int(days)
	}
	if unlimited, given := body["unlimited_ip"].(bool); given {
		a.Unlimited = unlimited
	}
	if blocked, given := body["blocked"].(bool); given {
		a.Blocked = blocked
	}
	if note, given := body["note"].(string); given {
		a.Note = &note
	}
	return done(http.StatusOK, fmt.Sprintf("User %s has been edited.", name))
}

func (p *panel) remove(name string) (int, any) {
	key := strings.ToLower(name)
	p.mu.Lock()
	_, known := p.accounts[key]
	p.mu.Unlock()
	if !known {
		return detail(http.StatusBadRequest, fmt.Sprintf("Error: User '%s' not found in the database.", name))
	}
	if p.kick(key, deleteTime) != nil {
		return kickFailed(key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.accounts, key)
	return done(http.StatusOK, fmt.Sprintf("User %s has been removed.", name))
}

// links has names in the case in which they were asked for, and passwords as they are.
func (p *panel) links(body fields) (int, any) {
	names, _ := body["usernames"].([]any)
	p.mu.Lock()
	defer p.mu.Unlock()
	all := []fields{}
	for _, name := range names {
		name, _ := name.(string)
		if a, known := p.accounts[strings.ToLower(name)]; known {
			link := fmt.Sprintf("hy2://%s:%s@%s#IPv4", name, a.Password, p.server.where().Link)
			all = append(all, fields{"username": name, "ipv4": link, "ipv6": nil, "nodes": []fields{}, "error": nil})
		}
	}
	return http.StatusOK, all
}

// authenticate is the auth service.
func (p *panel) authenticate(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Auth string `json:"auth"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		http.Error(w, "Bad request", http.StatusBadRequest)
		return
	}
	id, ok := p.letsIn(asked.Auth)
	if !ok {
		time.Sleep(p.scaled(penalty))
		id = ""
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(fields{"ok": ok, "id": id})
}
