package backends

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config"
	"github.com/rclone/rclone/fs/config/configfile"
	"github.com/rclone/rclone/fs/fshttp"
	"github.com/rclone/rclone/lib/atexit"
)

// Setup makes rclone usable as a library inside a process that speaks a protocol on stdin and
// stdout: it asks nothing, prints nothing but critical errors to stderr (RCLONE_LOG_LEVEL may
// raise that; see LogTo), and handles no signals. It is called once, before Open.
//
// It reads rclone.conf. Not being able to is no error yet, since local directories need none:
// CheckSections tells.
func Setup() error {
	atexit.IgnoreSignals()
	ci := fs.GetConfig(context.Background())
	ci.AskPassword = false
	ci.PasswordCommand = nil // rclone would give it our stdin; see givePassword
	ci.LowLevelRetries = 3
	ci.ConnectTimeout = fs.Duration(15 * time.Second)
	ci.Timeout = fs.Duration(60 * time.Second)
	logFrom(stderrLevel())
	if err := checkTLS(ci); err != nil {
		return err
	}
	if path, ok := os.LookupEnv("RCLONE_CONFIG"); ok {
		if err := config.SetConfigPath(path); err != nil {
			return fmt.Errorf("use RCLONE_CONFIG: %w", err)
		}
	}
	if loadable() == nil {
		config.SetData(newSectionStore()) // else rclone keeps its empty one: reading ours would end the process
	}
	config.LoadedData() // now, since rclone guards its first use by no lock
	return nil
}

// CheckSections says which of the sections rclone.conf does not have, or why it cannot be
// read. Sections defined by RCLONE_CONFIG_<NAME>_TYPE in the environment count too. Types are
// what is known of the sections elsewhere, for advice; nil for nothing.
func CheckSections(sections []string, types map[string]string) error {
	path := config.GetConfigPath()
	broken := loadable()
	for _, name := range sections {
		kind := SectionType(name)
		if kind == "" && broken != nil {
			return broken
		}
		if kind == "" {
			advice := "TYPE ... (with its type)"
			if typeName.MatchString(types[name]) {
				advice = types[name]
			}
			return fmt.Errorf("find section %q in %s: missing; to make it run: rclone config create %s %s", name, path, quoteWord(name), advice)
		}
		if _, err := fs.Find(kind); err != nil {
			return fmt.Errorf("find section %q in %s: no such storage type: %s", name, path, kind)
		}
	}
	return nil
}

// SectionType returns the type of storage that a section has, "" if there is no such section.
func SectionType(name string) string {
	kind, _ := fs.ConfigMap("", nil, name, nil).Get("type")
	return kind
}

// SectionOption returns an option of a section, "" if it is not set.
func SectionOption(section, option string) string {
	value, _ := fs.ConfigMap("", nil, section, nil).Get(option)
	return value
}

// typeName keeps what came from elsewhere from being pasted into a shell.
var typeName = regexp.MustCompile(`^[a-z0-9]{1,32}$`)

func quoteWord(name string) string {
	if strings.Contains(name, " ") {
		return "'" + name + "'"
	}
	return name
}

// loadable says what is wrong with the config file, if there is one; after it has returned nil
// rclone can load the file without asking and without ending the process.
func loadable() error {
	path := config.GetConfigPath()
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read rclone.conf: %w", err)
	}
	encrypted := bytes.Contains(content, []byte("RCLONE_ENCRYPT_V"))
	from := "RCLONE_CONFIG_PASS"
	if encrypted && !config.IsEncrypted() {
		if from, err = givePassword(); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	err = new(configfile.Storage).Load()
	switch {
	case err == nil:
		return nil
	case encrypted:
		return fmt.Errorf("read %s: rclone.conf is encrypted and the password from %s does not open it (%w)", path, from, err)
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// givePassword tells rclone the config password, and us where it came from. It runs the
// user's password command itself, since rclone would let that read from our stdin.
func givePassword() (from string, err error) {
	var command fs.SpaceSepList
	if err := command.Set(os.Getenv("RCLONE_PASSWORD_COMMAND")); err != nil {
		return "", fmt.Errorf("parse RCLONE_PASSWORD_COMMAND: %w", err)
	}
	if len(command) == 0 {
		if os.Getenv("RCLONE_CONFIG_PASS") == "" {
			return "", errors.New("rclone.conf is encrypted: set RCLONE_CONFIG_PASS")
		}
		return "RCLONE_CONFIG_PASS", nil // rclone takes it from there
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run RCLONE_PASSWORD_COMMAND: %w", err)
	}
	if err := config.SetConfigPassword(strings.Trim(string(out), "\r\n")); err != nil {
		return "", fmt.Errorf("use RCLONE_PASSWORD_COMMAND: %w", err)
	}
	return "RCLONE_PASSWORD_COMMAND", nil
}

// checkTLS reads the files that rclone reads later, where it would end the process over them.
func checkTLS(ci *fs.ConfigInfo) error {
	for _, path := range ci.CaCert {
		pem, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read RCLONE_CA_CERT: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return fmt.Errorf("read RCLONE_CA_CERT %s: no certificate in it", path)
		}
	}
	if ci.ClientCert == "" && ci.ClientKey == "" {
		return nil
	}
	if _, err := fshttp.LoadKeyPair(ci.ClientCert, ci.ClientKey, ci.ClientPass); err != nil {
		return fmt.Errorf("read RCLONE_CLIENT_CERT and RCLONE_CLIENT_KEY: %w", err)
	}
	return nil
}

// Sections returns the names of all sections of rclone.conf. Setup comes first.
func Sections() ([]string, error) {
	if err := loadable(); err != nil {
		return nil, err
	}
	return config.LoadedData().GetSectionList(), nil
}
