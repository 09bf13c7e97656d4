package faults

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// Cut is what a [Proxy] does to a request, and to the connections behind it.
type Cut int

const (
	// Pass forwards the request.
	Pass Cut = iota
	// CutBefore closes the connection on both sides. The server never sees the request.
	CutBefore
	// CutAfter forwards the request, waits for the answer, drops it and closes the connection.
	CutAfter
	// Silence makes every packet vanish from then on, on all connections, this request included. They stay open.
	Silence
	// SilenceAfter forwards the request; every packet after it vanishes, its answer included.
	SilenceAfter
)

func (c Cut) String() string {
	return [...]string{"pass", "cut", "cut after", "silence", "silence after"}[c]
}

// Proxy stands between a driver and a server that speak by request and answer, without encryption. Driver and server
// are on 127.0.0.1 as far as each can tell.
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
	met    chan struct{} // closed when a request meets its fate
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

// Addr is the host and the port that the proxy listens on.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set makes the n-th request from now meet its fate, counted from 1 over all connections; n = 0 stands for none. What
// the driver sends after an answer and before the next one is one request. with, unless it is empty, says which
// requests count: those that contain it, in letters of any case.
func (p *Proxy) Set(n int, do Cut, with string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.do, p.with, p.seen, p.hit = n, do, bytes.ToLower([]byte(with)), 0, false
	p.met = make(chan struct{})
}

// Hit reports whether a request has met its fate since Set.
func (p *Proxy) Hit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit
}

// Seen returns how many requests that count came since Set.
func (p *Proxy) Seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// Met returns a channel that is closed when a request meets the fate of the last Set.
func (p *Proxy) Met() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// Heal ends a silence. Connections that lost packets are closed on both sides, as TCP does in the end.
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

// Close closes the proxy and all connections, and waits until nothing of it runs any more.
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

// link is a connection of the driver and the one to the server.
type link struct {
	p      *Proxy
	client net.Conn

	// Guarded by p.mu.
	server   net.Conn // nil until it is there
	closed   bool
	answered bool   // the server has, since the last request
	request  []byte // lower case, as much of it as has been read
	counted  bool   // the request
	last     bool   // the connection closes at the answer
}

// close closes both sides. p.mu is held.
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

// pump moves what arrives, as pass says. In a silence the end of one side does not reach the other one.
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

// up is asked about what the driver sends.
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
		// Forwarded here, so that no answer comes before the silence.
		p.silent = true
		_, _ = l.server.Write(chunk)
		return false, true
	}
	return true, true
}

// down is asked about what the server sends.
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
