package backends

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/log"
)

// LogTo gives hear each line that rclone logs at its level NOTICE or above, or from the level on
// that RCLONE_LOG_LEVEL asks for; what stderr is given stays the same. Setup comes first. Hear is
// called for one line at a time, and must not call into rclone.
func LogTo(hear func(line string)) {
	toStderr := stderrLevel()
	logFrom(max(toStderr, fs.LogLevelNotice))
	log.Handler.SetOutput(func(level slog.Level, text string) {
		if level >= fs.LogLevelToSlog(toStderr) {
			os.Stderr.WriteString(text) //nolint:errcheck // nobody is left to tell
		}
		hear(strings.TrimSpace(text))
	})
}

// stderrLevel is the level from which on stderr is given what rclone logs. As a library rclone
// heeds no value of RCLONE_LOG_LEVEL but DEBUG, and ends the process at a wrong one.
func stderrLevel() fs.LogLevel {
	level := fs.LogLevelCritical
	if name := os.Getenv("RCLONE_LOG_LEVEL"); name != "" {
		level.Set(name) //nolint:errcheck
	}
	return level
}

// logFrom has rclone log what is of that level or worse.
func logFrom(level fs.LogLevel) {
	fs.GetConfig(context.Background()).LogLevel = level
	log.Handler.SetLevel(fs.LogLevelToSlog(level))
}
