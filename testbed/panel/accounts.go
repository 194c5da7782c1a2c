package main

import (
	"strings"
	"time"
)

const gigabyte = 1 << 30

// account is one of the database, with the names that the list has.
type account struct {
	Password   string  `json:"password"`
	Limit      int64   `json:"max_download_bytes"`
	Days       int     `json:"expiration_days"`
	Created    *string `json:"account_creation_date"`
	Blocked    bool    `json:"blocked"`
	Unlimited  bool    `json:"unlimited_user"`
	Note       *string `json:"note"`
	Upload     *int64  `json:"upload_bytes"`
	Download   *int64  `json:"download_bytes"`
	lastOnline int
}

// listed is an account as the API shows it.
type listed struct {
	Username string `json:"username"`
	account
	Status string `json:"status"`
	Online int    `json:"online_count"`
}

func (a account) show(name string, online int) listed {
	status := "On-hold"
	switch {
	case a.Created != nil && a.lastOnline > 0:
		status = "Online"
	case a.Created != nil:
		status = "Offline"
	}
	return listed{name, a, status, online}
}

func (a account) moved() int64 {
	sum := int64(0)
	for _, bytes := range []*int64{a.Upload, a.Download} {
		if bytes != nil {
			sum += *bytes
		}
	}
	return sum
}

func (a account) isOverQuota() bool {
	return a.Limit > 0 && a.moved() >= a.Limit
}

func (a account) isExpired(now time.Time) bool {
	if a.Days <= 0 || a.Created == nil {
		return false
	}
	created, err := time.ParseInLocation(time.DateOnly, *a.Created, now.Location())
	return err == nil && !now.Before(created.AddDate(0, 0, a.Days))
}

// letsIn is what the auth service says to `name:password`. A name matches in the case in which it is stored, which is lower case.
func (p *panel) letsIn(credential string) (string, bool) {
	name, password, found := strings.Cut(credential, ":")
	p.mu.Lock()
	defer p.mu.Unlock()
	a, known := p.accounts[name]
	if !found || !known || a.Password != password || a.Blocked {
		return "", false
	}
	return name, a.Unlimited || !(a.isOverQuota() || a.isExpired(time.Now()))
}

// collect takes over what the server counted, and what it counts from then on begins at zero. The first byte begins an account's days.
func (p *panel) collect() error {
	moved, err := p.server.traffic()
	if err != nil {
		return err
	}
	online, err := p.server.online()
	if err != nil {
		return err
	}
	today := time.Now().Format(time.DateOnly)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, a := range p.accounts {
		a.lastOnline = online[name]
		if m := moved[name]; m.Tx+m.Rx > 0 {
			a.Upload, a.Download = sum(a.Upload, m.Tx), sum(a.Download, m.Rx)
			if a.Created == nil {
				a.Created = &today
			}
		}
	}
	return nil
}

func sum(a *int64, b int64) *int64 {
	if a != nil {
		b += *a
	}
	return &b
}

// schedule collects every so often, times the pace, and then blocks who is over a limit, unlimited or not.
func (p *panel) schedule(every time.Duration) {
	for range time.Tick(p.scaled(every)) {
		p.turn.Lock()
		if p.collect() == nil {
			p.mu.Lock()
			for _, a := range p.accounts {
				a.Blocked = a.Blocked || a.isOverQuota() || a.isExpired(time.Now())
			}
			p.mu.Unlock()
		}
		p.turn.Unlock()
	}
}
