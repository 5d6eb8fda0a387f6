package backends

import (
	"context"
	"errors"
	iofs "io/fs"
	"net/http"
	"net/textproto"
	"reflect"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/rclone/rclone/fs/fserrors"
	liberrors "github.com/rclone/rclone/lib/errors"
	"github.com/rclone/rclone/lib/file"
	"github.com/rclone/rclone/lib/pacer"
)

// rclone has no common words for "full", "slow down" and "log in again": each backend passes
// on what its provider says, in a type of its own. So here are the words that they use. Who
// lies with them says no more than who refuses.
var (
	fullText = regexp.MustCompile(`(?i)` +
		`storageQuotaExceeded|teamDriveFileLimitExceeded|activeItemCreationLimitExceeded|` + // drive
		`quotaLimitReached|` + // onedrive
		`insufficient.?(space|storage|quota)|` + // dropbox, onedrive, WebDAV, smb
		`storage.?limit.?(exceeded|reached)|` + // box, zoho
		`pcloud error: .*\(2008\)|` +
		`over quota|not enough quota|out of quota|` + // mega, pcloud, mailru, seafile
		`(^|[^a-z])quota.?(exceeded|limit)|exceeds quota|` + // s3 (ceph), drive, koofr, swift
		`XMinioStorageFull|BucketQuotaExceeded|storage.?cap.?exceeded|` + // minio, b2
		`not enough (free |disk |storage )*space|space_not_enough|` + // pikpak and others
		`no space left|disk quota exceeded|disk (is |was )?full|exceeded storage allocation`) // sftp, smb, ftp

	slowText = regexp.MustCompile(`(?i)` +
		`rateLimitExceeded|dailyLimitExceeded|downloadQuotaExceeded|` + // drive: these are a 403
		`rate.?limit.?(exceeded|reached)|too.?many.?(requests|write.?operations)|` +
		`activityLimitReached|SlowDown|slow down|ServerBusy|RequestLimitExceeded|Throttling|` +
		`(transaction|download)_cap_exceeded|` + // b2
		`pcloud error: .*\(4\d\d\d\)`)

	// What mega says of a download beyond its quota, and of being busy.
	megaSlowText = regexp.MustCompile(`Request over quota|Too many concurrent IP|Maximum worker limit|temporarily not available|(^|: )Try again$`)

	loginText = regexp.MustCompile(`(?i)` +
		`rclone config reconnect|invalid_grant|` + // rclone and OAuth
		`token (has |is )?(been )?(expired|revoked)|(expired|invalid).?(access.?)?token|expired user session|` +
		`InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed|bad_auth_token|` + // s3, azure, b2
		`unable to authenticate|logon is invalid|bad username or authentication`) // sftp, smb

	statusText = regexp.MustCompile(`(?:[Ee]rror|Got|StatusCode:|status code|RESPONSE) \(?([45]\d\d)\b`)
)

// isFull says whether err means that there is no room for what was to be stored.
func isFull(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || fserrors.IsErrNoSpace(err) || errors.Is(err, file.ErrDiskFull) {
		return true
	}
	code := status(err)
	if code == http.StatusInsufficientStorage {
		return true
	}
	if waitTime(err) > 0 || code == http.StatusTooManyRequests || slowText.MatchString(text(err)) {
		return false // "quota exceeded" of requests
	}
	if ftp, ok := errors.AsType[*textproto.Error](err); ok {
		return ftp.Code == 552 || ftp.Code == 452
	}
	return fullText.MatchString(text(err))
}

// isSlow says whether err asks to be left alone, and for how long, if it says so.
func isSlow(err error) (named time.Duration, yes bool) {
	if named = waitTime(err); named > 0 {
		return named, true
	}
	switch status(err) {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, 509:
		return 0, true
	}
	said := text(err)
	return 0, slowText.MatchString(said) || megaSlowText.MatchString(said)
}

// isLogin says whether err means that the login is lost. A 403 may be about one file alone,
// so it counts only where the whole backend was asked.
func isLogin(err error, whole bool) bool {
	if ftp, ok := errors.AsType[*textproto.Error](err); ok {
		return ftp.Code == 530
	}
	if fserrors.IsFatalError(err) || loginText.MatchString(text(err)) {
		return true
	}
	code := status(err)
	// Where rclone wants to try again, it has a fresh token in hand.
	return (code == http.StatusUnauthorized || code == http.StatusForbidden && whole) && !fserrors.IsRetryError(err)
}

// isBlip says whether what failed may well work at once, such as a connection that the server
// has closed meanwhile.
func isBlip(err error) bool {
	if !fserrors.IsRetryError(err) && !fserrors.ShouldRetry(err) {
		return false
	}
	_, slow := isSlow(err)
	return !slow
}

// text is what a provider said, without the path that may be around it.
func text(err error) string {
	if e, ok := errors.AsType[*iofs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// waitTime is how long err asks to be left alone, 0 if it does not say.
func waitTime(err error) time.Duration {
	if d, ok := pacer.IsRetryAfter(err); ok {
		return max(d, 0)
	}
	if t := fserrors.RetryAfterErrorTime(err); !t.IsZero() {
		return max(time.Until(t), 0)
	}
	_, header := httpParts(err)
	after := header.Get("Retry-After")
	if n, err := strconv.Atoi(after); err == nil {
		return time.Duration(min(max(n, 0), int(maxNamed/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(after); err == nil {
		return max(time.Until(t), 0)
	}
	return 0
}

// status is the HTTP status in err, 0 if there is none.
func status(err error) int {
	code, _ := httpParts(err)
	if code == 0 {
		if m := statusText.FindStringSubmatch(text(err)); m != nil {
			code, _ = strconv.Atoi(m[1])
		}
	}
	return code
}

// httpParts finds the status and the header of an answer wherever the types below err keep
// them: some forty do, which have nothing in common but the names of their fields.
func httpParts(err error) (code int, header http.Header) {
	look := func(v reflect.Value) {
		for _, name := range []string{"StatusCode", "Status", "Code", "Got", "Result"} {
			if f := field(v, name); code == 0 && f.IsValid() && f.CanInt() && f.Int() >= 400 && f.Int() < 600 {
				code = int(f.Int())
			}
		}
		for _, name := range []string{"Header", "Headers"} {
			if f := field(v, name); header == nil && f.IsValid() && f.CanInterface() {
				header, _ = f.Interface().(http.Header)
			}
		}
	}
	liberrors.Walk(err, func(err error) bool {
		if _, ftp := err.(*textproto.Error); ftp {
			return true // other codes
		}
		v := reflect.ValueOf(err)
		look(v)
		look(field(v, "Response"))
		look(field(v, "RawResponse"))
		return code != 0
	})
	return code, header
}

// field is a field of the struct that v is or points to, invalid if there is none.
func field(v reflect.Value, name string) (none reflect.Value) {
	v = reflect.Indirect(v)
	if v.Kind() != reflect.Struct {
		return none
	}
	f, ok := v.Type().FieldByName(name)
	if !ok {
		return none
	}
	found, err := v.FieldByIndexErr(f.Index)
	if err != nil {
		return none // behind a nil pointer
	}
	return found
}

// judge says what the error of a call tells of its backend. Ctx is the caller's own.
func judge(ctx context.Context, verb string, err error) (outcome, time.Duration) {
	_, connecting := errors.AsType[*unreachable](err)
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrTooLarge), errors.Is(err, ErrFull):
		return answered, 0
	case ctx.Err() != nil, errors.Is(err, errLate), errors.Is(err, errors.ErrUnsupported):
		return silent, 0
	}
	if named, slow := isSlow(err); slow {
		return slowed, named
	}
	switch {
	case connecting, isLogin(err, verb == "list"):
		return down, 0
	case verb == "free":
		return silent, 0 // an account may do everything but this
	}
	switch status(err) {
	case http.StatusLocked:
		return locked, 0 // WebDAV servers, of two requests that make one directory
	case http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge:
		return silent, 0 // it is about the file
	}
	return failed, 0
}
