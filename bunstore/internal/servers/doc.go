// Package servers starts servers of a test's own, in temporary folders and on free ports of the loopback interface, so
// that a test may kill, freeze and restart them. Only tests import it.
//
// A test whose server is not installed is skipped, or fails where CI=true says that everything has to run. The
// processes are Linux's: they end with the process that started them, and their children are found in /proc.
package servers
