// Package servers starts servers for a single test, in temporary folders and on free ports of the loopback interface,
// so that the test can kill, freeze and restart them. Only tests import it.
//
// A test whose server is not installed is skipped, or fails if CI=true. The package works on Linux only: it uses a
// signal that ends the servers with the process that started them, and finds their children in /proc.
package servers
