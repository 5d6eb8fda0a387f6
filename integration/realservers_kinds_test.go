package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// kinds are the servers that there are: those of rclone serve and OpenSSH come
// with make deps, the others with make servers-deps.
var kinds = map[string]*kind{
	"rclone-webdav": {command: rcloneServe("webdav"), section: davSection("rclone")},
	"rclone-sftp":   {command: rcloneServe("sftp"), section: rcloneSFTPSection},
	"rclone-s3":     {command: rcloneServe("s3"), section: s3Section("Rclone", "use_multipart_uploads = false")},
	"openssh":       {command: opensshCommand, section: opensshSection, below: func(s *realServer) string { return s.dir + "/" }},
	"nginx":         {command: nginxCommand, section: davSection("other")},
	"samba":         {command: sambaCommand, section: sambaSection},
	"vsftpd":        {command: vsftpdCommand, section: ftpSection("anonymous"), ports: dataPorts},
	"versitygw":     {command: versitygwCommand, section: s3Section("Other", "region = us-east-1")},
	"minio":         {command: minioCommand, section: s3Section("Minio", "region = us-east-1"), ready: minioReady},
}

// dataPorts is how many data connections an FTP server can have at a time.
const dataPorts = 24

// rcloneServe is rclone serve of a protocol.
func rcloneServe(protocol string) func(*testscript.TestScript, *realServer, int, string) *exec.Cmd {
	return func(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd {
		args := []string{"serve", protocol, s.dir, "--addr", fmt.Sprint(s.host, ":", port)}
		if protocol == "s3" {
			args = append(args, "--auth-key", theUser+","+password)
		} else {
			args = append(args, "--user", theUser, "--pass", password)
		}
		if s.tls {
			args = append(args, "--cert", s.etc+"/cert.pem", "--key", s.etc+"/key.pem")
		}
		cmd := exec.Command(tool(ts, "rclone"), args...)
		cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "RCLONE_CONFIG=", "XDG_CACHE_HOME="+ts.Getenv("HOME"))
		return cmd
	}
}

func rcloneSFTPSection(_ *testscript.TestScript, _ *realServer, host, port, obscured string) string {
	return fmt.Sprintf("type = sftp\nshell_type = unix\nhost = %s\nport = %s\nuser = %s\npass = %s", host, port, theUser, obscured)
}

func davSection(vendor string) func(*testscript.TestScript, *realServer, string, string, string) string {
	return func(_ *testscript.TestScript, s *realServer, host, port, obscured string) string {
		scheme := "http"
		if s.tls {
			scheme = "https"
		}
		return fmt.Sprintf("type = webdav\nvendor = %s\nurl = %s://%s:%s\nuser = %s\npass = %s", vendor, scheme, host, port, theUser, obscured)
	}
}

func s3Section(provider, more string) func(*testscript.TestScript, *realServer, string, string, string) string {
	return func(_ *testscript.TestScript, _ *realServer, host, port, _ string) string {
		return fmt.Sprintf("type = s3\nprovider = %s\nendpoint = http://%s:%s\naccess_key_id = %s\nsecret_access_key = %s\n%s", provider, host, port, theUser, thePassword, more)
	}
}

func ftpSection(login string) func(*testscript.TestScript, *realServer, string, string, string) string {
	return func(_ *testscript.TestScript, _ *realServer, host, port, obscured string) string {
		return fmt.Sprintf("type = ftp\nhost = %s\nport = %s\nuser = %s\npass = %s", host, port, login, obscured)
	}
}

// opensshCommand lets the key in where the password is the usual one.
func opensshCommand(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd {
	ts.Check(os.MkdirAll("/run/sshd", 0o755))
	for _, key := range []string{"host", "id"} {
		if _, err := os.Stat(filepath.Join(s.etc, key)); err != nil {
			ts.Check(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.etc, key)).Run())
		}
	}
	writeFile(ts, s.etc+"/keys-"+thePassword, "%s", must(os.ReadFile(s.etc+"/id.pub")))
	writeFile(ts, s.etc+"/config", "Port %d\nListenAddress %s\nHostKey %s/host\nAuthorizedKeysFile %s/keys-%s\nUsePAM no\nStrictModes no\nPidFile none\nSubsystem sftp internal-sftp\n", port, s.host, s.etc, s.etc, password)
	return exec.Command(program(ts, "sshd"), "-D", "-f", s.etc+"/config", "-E", s.etc+"/log")
}

func opensshSection(ts *testscript.TestScript, s *realServer, host, port, _ string) string {
	writeFile(ts, s.etc+"/known_hosts", "[%s]:%s %s", host, port, must(os.ReadFile(s.etc+"/host.pub")))
	return fmt.Sprintf("type = sftp\nshell_type = unix\nhost = %s\nport = %s\nuser = %s\nkey_file = %s/id\nknown_hosts_file = %s/known_hosts", host, port, user(), s.etc, s.etc)
}

func nginxCommand(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd {
	listen, runAs := fmt.Sprint(s.host, ":", port), ""
	if s.tls {
		listen += fmt.Sprintf(" ssl; ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem", s.etc, s.etc)
	}
	if os.Getuid() == 0 {
		runAs = "user root;"
	}
	temp := ""
	for _, of := range []string{"proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s; ", of, s.etc, of)
	}
	writeFile(ts, s.etc+"/htpasswd", "%s:{PLAIN}%s\n", theUser, password)
	writeFile(ts, s.etc+"/nginx.conf", `load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
%s worker_processes 1; daemon off; pid %s/pid; error_log %s/error.log;
events { worker_connections 256; }
http {
  access_log off; %s
  client_body_temp_path %s/.body;
  server {
    listen %s; root %s; client_max_body_size 0; create_full_put_path on;
    dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;
    auth_basic dav; auth_basic_user_file %s/htpasswd;
  }
}
`, runAs, s.etc, s.etc, temp, s.dir, listen, s.dir, s.etc)
	return exec.Command(program(ts, "nginx"), "-e", s.etc+"/error.log", "-c", s.etc+"/nginx.conf")
}

func sambaCommand(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd {
	ts.Check(os.MkdirAll(s.dir+"/annex", 0o755))
	text := fmt.Sprintf("[global]\nserver role = standalone server\ndisable netbios = yes\nsmb ports = %d\ninterfaces = %s/8\nbind interfaces only = yes\n", port, s.host)
	text += "load printers = no\nprinting = bsd\nprintcap name = /dev/null\ndisable spoolss = yes\n"
	text += fmt.Sprintf("passdb backend = smbpasswd:%s/smbpasswd\nlog file = %s/log\n", s.etc, s.etc)
	for _, dir := range []string{"private dir", "lock directory", "state directory", "cache directory", "pid directory", "ncalrpc dir"} {
		path := filepath.Join(s.etc, strings.ReplaceAll(dir, " ", "-"))
		ts.Check(os.MkdirAll(path, 0o755))
		text += fmt.Sprintf("%s = %s\n", dir, path)
	}
	text += fmt.Sprintf("[annex]\npath = %s/annex\nread only = no\n", s.dir)
	writeFile(ts, s.etc+"/smb.conf", "%s", text)
	cmd := exec.Command(program(ts, "smbpasswd"), "-c", s.etc+"/smb.conf", "-s", "-a", user())
	cmd.Stdin = strings.NewReader(password + "\n" + password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("smbpasswd: %v\n%s", err, out)
	}
	return exec.Command(program(ts, "smbd"), "-F", "--no-process-group", "-s", s.etc+"/smb.conf")
}

func sambaSection(_ *testscript.TestScript, _ *realServer, host, port, obscured string) string {
	return fmt.Sprintf("type = smb\nhost = %s\nport = %s\nuser = %s\npass = %s", host, port, user(), obscured)
}

// vsftpdCommand lets a guest in who knows the password, as whoever runs the
// test: no user of the system is needed.
func vsftpdCommand(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd {
	ts.Check(os.MkdirAll(s.etc+"/empty", 0o755))
	writeFile(ts, s.etc+"/passwords", "%s\n", password)
	yes := "listen background=NO run_as_launching_user anonymous_enable local_enable=NO write_enable anon_upload_enable anon_mkdir_write_enable anon_other_write_enable anon_world_readable_only=NO allow_writeable_chroot secure_email_list_enable seccomp_sandbox=NO"
	var text strings.Builder
	for _, option := range strings.Fields(yes) {
		if !strings.Contains(option, "=") {
			option += "=YES"
		}
		fmt.Fprintln(&text, option)
	}
	fmt.Fprintf(&text, "listen_address=%s\nlisten_port=%d\npasv_min_port=%d\npasv_max_port=%d\nanon_umask=022\n", s.host, port, s.data, s.data+s.kind.ports-1)
	fmt.Fprintf(&text, "anon_root=%s\nemail_password_file=%s/passwords\nsecure_chroot_dir=%s/empty\nvsftpd_log_file=%s/log\nftp_username=%s\n", s.dir, s.etc, s.etc, s.etc, user())
	writeFile(ts, s.etc+"/vsftpd.conf", "%s", text.String())
	return exec.Command(program(ts, "vsftpd"), s.etc+"/vsftpd.conf")
}

func versitygwCommand(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd {
	cmd := exec.Command(program(ts, "versitygw"), "--port", fmt.Sprint(s.host, ":", port), "posix", s.dir)
	cmd.Env = append(os.Environ(), "HOME="+s.etc, "ROOT_ACCESS_KEY="+theUser, "ROOT_SECRET_KEY="+password)
	return cmd
}

func minioCommand(ts *testscript.TestScript, s *realServer, port int, password string) *exec.Cmd {
	cmd := exec.Command(program(ts, "minio"), "server", "--address", fmt.Sprint(s.host, ":", port), "--console-address", fmt.Sprint(s.host, ":", strconv.Itoa(freePort(ts))), "--certs-dir", s.etc, s.dir)
	cmd.Env = append(os.Environ(), "HOME="+s.etc, "MINIO_ROOT_USER="+theUser, "MINIO_ROOT_PASSWORD="+password, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
	return cmd
}

func minioReady(address string) bool {
	for range 400 {
		if answer, err := http.Get("http://" + address + "/minio/health/ready"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return true
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}
