package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// sftpd: sftpd start SECTION | stop SECTION runs a real OpenSSH server of its
// own on a free port, and adds it to rclone.conf as SECTION.
func sftpd(ts *testscript.TestScript, _ bool, args []string) {
	dir := filepath.Join(ts.Getenv("WORK"), "sshd-"+args[1])
	if args[0] == "stop" {
		pid, err := strconv.Atoi(string(must(os.ReadFile(filepath.Join(dir, "pid")))))
		ts.Check(err)
		ts.Check(syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	sshd := "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		ts.Fatalf("%s is missing: run make deps", sshd)
	}
	ts.Check(os.MkdirAll("/run/sshd", 0o755))
	ts.Check(os.MkdirAll(dir, 0o700))
	for _, key := range []string{"host", "id"} {
		ts.Check(ts.Exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)))
	}
	port := freePort(ts)
	write := func(name, text string) {
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("config", fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/id.pub\nUsePAM no\nStrictModes no\nPidFile none\nSubsystem sftp internal-sftp\n", port, dir, dir))
	host := string(must(os.ReadFile(filepath.Join(dir, "host.pub"))))
	write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", port, host))
	cmd := exec.Command(sshd, "-D", "-f", filepath.Join(dir, "config"), "-E", filepath.Join(dir, "log"))
	ts.Check(cmd.Start())
	write("pid", strconv.Itoa(cmd.Process.Pid))
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	conf, err := os.OpenFile(ts.Getenv("RCLONE_CONFIG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(err)
	fmt.Fprintf(conf, "[%s]\ntype = sftp\nhost = 127.0.0.1\nport = %d\nuser = %s\nkey_file = %s/id\nknown_hosts_file = %s/known_hosts\nshell_type = unix\n\n", args[1], port, user(), dir, dir)
	ts.Check(conf.Close())
	for range 100 {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("sshd does not listen:\n%s", must(os.ReadFile(filepath.Join(dir, "log"))))
}

func freePort(ts *testscript.TestScript) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func user() string {
	out, err := exec.Command("id", "-un").Output()
	if err != nil {
		return "root"
	}
	return string(out[:len(out)-1])
}

func must(data []byte, err error) []byte {
	if err != nil {
		return []byte(err.Error())
	}
	return data
}
