package faults

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// Cut is what a [Proxy] does to a request and its connection.
type Cut int

const (
	// Pass forwards the request.
	Pass Cut = iota
	// CutBefore closes the connection on both sides. The server does not see the request.
	CutBefore
	// CutAfter forwards the request, waits for the answer, drops it and closes the connection.
	CutAfter
	// Silence drops this request and every later packet on all connections. The connections stay open.
	Silence
	// SilenceAfter forwards the request, and drops its answer and every later packet on all connections.
	SilenceAfter
)

func (c Cut) String() string {
	return [...]string{"pass", "cut", "cut after", "silence", "silence after"}[c]
}

// Proxy stands between a driver and a server that exchange requests and answers without encryption. To the driver and
// to the server, the other side appears to be on 127.0.0.1.
type Proxy struct {
	listener net.Listener
	server   string
	running  sync.WaitGroup

	mu     sync.Mutex
	links  map[*link]struct{}
	closed bool
	silent bool
	at     int
	do     Cut
	with   []byte
	seen   int
	hit    bool
	met    chan struct{} // closed when the cut is applied to a request
}

// NewProxy listens on a port of its own and forwards to server, a host and a port.
func NewProxy(server string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, server: server, links: map[*link]struct{}{}, met: make(chan struct{})}
	p.running.Go(p.serve)
	return p, nil
}

// Addr returns the host and the port that the proxy listens on.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set applies do to the n-th request from now, counted from 1 over all connections, or to none if n is 0. Everything
// that the driver sends after one answer and before the next is one request. Unless with is empty, only requests that
// contain it, in any case, count.
func (p *Proxy) Set(n int, do Cut, with string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.do, p.with, p.seen, p.hit = n, do, bytes.ToLower([]byte(with)), 0, false
	p.met = make(chan struct{})
}

// Hit reports whether the cut has been applied to a request since Set.
func (p *Proxy) Hit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit
}

// Seen returns how many requests have counted since Set.
func (p *Proxy) Seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// Met returns a channel that is closed when the cut of the last Set is applied to a request.
func (p *Proxy) Met() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// Heal ends a silence. It closes the connections, which may have lost packets, on both sides, as TCP eventually does.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.silent {
		return
	}
	p.silent = false
	for l := range p.links {
		l.close()
	}
}

// Close closes the proxy and all connections, and waits for its goroutines to end.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		l := &link{p: p, client: client, answered: true}
		p.mu.Lock()
		if p.closed {
			_ = client.Close()
		} else {
			p.links[l] = struct{}{}
			p.running.Go(l.run)
		}
		p.mu.Unlock()
	}
}

// link is a connection from the driver and the matching one to the server.
type link struct {
	p      *Proxy
	client net.Conn

	// Guarded by p.mu.
	server   net.Conn // nil until connected
	closed   bool
	answered bool   // whether the server has answered the last request
	request  []byte // the part of it that has been read, in lower case
	counted  bool   // whether the request has counted
	last     bool   // whether the connection closes at the next answer
}

// close closes both sides. The caller holds p.mu.
func (l *link) close() {
	l.closed = true
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
	delete(l.p.links, l)
}

func (l *link) run() {
	server, err := net.DialTimeout("tcp", l.p.server, 10*time.Second)
	l.p.mu.Lock()
	l.server = server
	if err != nil || l.closed {
		if err != nil {
			l.server = nil
		}
		l.close()
		l.p.mu.Unlock()
		return
	}
	l.p.mu.Unlock()
	l.p.running.Go(func() { l.pump(server, l.client, l.down) })
	l.pump(l.client, server, l.up)
}

// pump forwards data as pass decides. During a silence it does not pass on the end of a connection.
func (l *link) pump(from, to net.Conn, pass func(chunk []byte) (forward, again bool)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		forward, again := true, true
		if n > 0 {
			forward, again = pass(buffer[:n])
		}
		if n > 0 && forward {
			if _, failed := to.Write(buffer[:n]); failed != nil && err == nil {
				err = failed
			}
		}
		if err == nil && again {
			continue
		}
		l.p.mu.Lock()
		if !l.p.silent || l.closed {
			l.close()
		}
		l.p.mu.Unlock()
		return
	}
}

// up decides about data from the driver.
func (l *link) up(chunk []byte) (forward, again bool) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent {
		return false, true
	}
	if l.answered {
		l.answered, l.counted, l.request = false, false, nil
	}
	if l.counted {
		return true, true
	}
	if len(p.with) > 0 {
		l.request = append(l.request, bytes.ToLower(chunk)...)
		if !bytes.Contains(l.request, p.with) {
			return true, true
		}
	}
	l.counted = true
	if p.seen++; p.seen != p.at {
		return true, true
	}
	p.hit = true
	close(p.met)
	switch p.do {
	case CutBefore:
		return false, false
	case CutAfter:
		l.last = true
	case Silence:
		p.silent = true
		return false, true
	case SilenceAfter:
		// Write here, so that no answer arrives before the silence begins.
		p.silent = true
		_, _ = l.server.Write(chunk)
		return false, true
	}
	return true, true
}

// down decides about data from the server.
func (l *link) down([]byte) (forward, again bool) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent {
		return false, true
	}
	l.answered = true
	return !l.last, !l.last
}
