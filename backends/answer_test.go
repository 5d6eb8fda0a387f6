package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"net/textproto"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/dropbox/dropbox-sdk-go-unofficial/v6/dropbox"
	"github.com/dropbox/dropbox-sdk-go-unofficial/v6/dropbox/files"
	"github.com/koofr/go-httpclient"
	"github.com/ncw/swift/v2"
	"github.com/pkg/sftp"
	b2api "github.com/rclone/rclone/backend/b2/api"
	boxapi "github.com/rclone/rclone/backend/box/api"
	jottaapi "github.com/rclone/rclone/backend/jottacloud/api"
	mailruapi "github.com/rclone/rclone/backend/mailru/api"
	onedriveapi "github.com/rclone/rclone/backend/onedrive/api"
	pcloudapi "github.com/rclone/rclone/backend/pcloud/api"
	pikpakapi "github.com/rclone/rclone/backend/pikpak/api"
	davapi "github.com/rclone/rclone/backend/webdav/api"
	yandexapi "github.com/rclone/rclone/backend/yandex/api"
	"github.com/rclone/rclone/fs/fserrors"
	"github.com/rclone/rclone/lib/file"
	"github.com/rclone/rclone/lib/pacer"
	"github.com/t3rm1n4l/go-mega"
	"google.golang.org/api/googleapi"
)

// google is an error as drive and gcs pass it on.
func google(code int, reason, message string) error {
	return &googleapi.Error{Code: code, Message: message, Errors: []googleapi.ErrorItem{{Reason: reason, Message: message}}}
}

func onedrive(code, message string) error {
	e := &onedriveapi.Error{}
	e.ErrorInfo.Code, e.ErrorInfo.Message = code, message
	return e
}

// s3Error is an error as the SDK passes it on.
func s3Error(status int, code, message string, header http.Header) error {
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: header}}
	return &smithy.OperationError{ServiceID: "S3", OperationName: "PutObject", Err: &awshttp.ResponseError{
		ResponseError: &smithyhttp.ResponseError{Response: response, Err: &smithy.GenericAPIError{Code: code, Message: message}},
		RequestID:     "4507F00D",
	}}
}

// restError is the text that rclone's own client makes, where a backend has no type.
func restError(status int, body string) error {
	return fmt.Errorf("HTTP error %v (%v) returned body: %q", status, http.StatusText(status), body)
}

func dropboxError(summary string) error {
	return files.UploadAPIError{APIError: dropbox.APIError{ErrorSummary: summary}}
}

// The errors are built as the backends build them.
func TestAnswers(t *testing.T) {
	retryAfter := func(s string) http.Header { return http.Header{"Retry-After": {s}} }
	const full, slow, login, other = "full", "slow", "login", "other"
	for _, c := range []struct {
		from string
		err  error
		want string
	}{
		{"local", file.ErrDiskFull, full},
		{"local", &iofs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, full},
		{"local", fmt.Errorf("x: %w", &iofs.PathError{Op: "write", Path: "/x", Err: syscall.EDQUOT}), full},
		{"local fatal_if_no_space", fserrors.FatalError(syscall.ENOSPC), full},
		{"local", &iofs.PathError{Op: "open", Path: "/disk full/quota exceeded/HTTP error 429", Err: syscall.EACCES}, other},
		{"drive", google(403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded."), full},
		{"drive", google(403, "teamDriveFileLimitExceeded", "The file limit for this shared drive has been exceeded."), full},
		{"drive stop_on_upload_limit", fserrors.FatalError(google(403, "quotaExceeded", "x")), full},
		{"drive", google(403, "userRateLimitExceeded", "User Rate Limit Exceeded."), slow},
		{"drive", google(403, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'"), slow},
		{"drive", fserrors.RetryError(google(503, "backendError", "Backend Error")), slow},
		{"drive", fserrors.RetryError(google(500, "internalError", "Internal Error")), other},
		{"drive", google(401, "authError", "Invalid Credentials"), login},
		{"drive", google(403, "cannotDownloadAbusiveFile", "This file has been identified as malware"), other},
		{"onedrive", fserrors.FatalError(onedrive("quotaLimitReached", "Insufficient Space Available")), full},
		{"onedrive", onedrive("activityLimitReached", "The request has been throttled"), slow},
		{"onedrive", pacer.RetryAfterError(onedrive("x", "y"), 30*time.Second), slow},
		{"dropbox", fserrors.FatalError(dropboxError("path/insufficient_space/..")), full},
		{"dropbox", dropboxError("too_many_write_operations/.."), slow},
		{"dropbox", dropboxError("expired_access_token/.."), login},
		{"dropbox", dropboxError("path/malformed_path/.."), other},
		{"box", &boxapi.Error{Status: 403, Code: "storage_limit_exceeded", Message: "Account storage limit reached"}, full},
		{"box", &boxapi.Error{Status: 403, Code: "forbidden"}, other},
		{"box", &boxapi.Error{Status: 401, Code: "unauthorized"}, login},
		{"pcloud", &pcloudapi.Error{Result: 2008, ErrorString: "User is over quota."}, full},
		{"pcloud", &pcloudapi.Error{Result: 4000, ErrorString: "Too many login tries from this IP address."}, slow},
		{"mega", fmt.Errorf("upload: %w", mega.EOVERQUOTA), full},
		{"mega", mega.EGOINGOVERQUOTA, full},
		{"mega", mega.ERATELIMIT, slow},
		{"mega", mega.EAGAIN, slow},
		{"mega", mega.ESID, login},
		{"mega", mega.EBADRESP, other},
		{"yandex", &yandexapi.ErrorResponse{ErrorName: "DiskNotEnoughSpaceError", Message: "x", StatusCode: 507}, full},
		{"yandex", &yandexapi.ErrorResponse{ErrorName: "TooManyRequestsError", StatusCode: 429}, slow},
		{"webdav", &davapi.Error{Status: "507 Insufficient Storage", StatusCode: 507}, full},
		{"nextcloud", &davapi.Error{Exception: `Sabre\DAV\Exception\InsufficientStorage`, Message: "x", Status: "507 Insufficient Storage", StatusCode: 507}, full},
		{"webdav", fserrors.RetryError(&davapi.Error{Status: "503 Service Unavailable", StatusCode: 503}), slow},
		{"webdav", &davapi.Error{Status: "401 Unauthorized", StatusCode: 401}, login},
		{"webdav with a fresh token", fserrors.RetryError(&davapi.Error{Status: "401 Unauthorized", StatusCode: 401}), other},
		{"webdav", &davapi.Error{Status: "403 Forbidden", StatusCode: 403}, other},
		{"ceph", s3Error(403, "QuotaExceeded", "", nil), full},
		{"minio", s3Error(507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.", nil), full},
		{"minio", s3Error(400, "XMinioAdminBucketQuotaExceeded", "Bucket quota exceeded", nil), full},
		{"s3", s3Error(503, "SlowDown", "Please reduce your request rate.", nil), slow},
		{"s3", s3Error(500, "InternalError", "x", retryAfter("7")), slow},
		{"s3", s3Error(403, "InvalidAccessKeyId", "x", nil), login},
		{"s3", s3Error(403, "AccessDenied", "Access Denied", nil), other},
		{"b2", &b2api.Error{Status: 403, Code: "storage_cap_exceeded", Message: "Cannot upload files, storage cap exceeded"}, full},
		{"b2", &b2api.Error{Status: 403, Code: "transaction_cap_exceeded", Message: "Transaction cap exceeded"}, slow},
		{"b2", &b2api.Error{Status: 401, Code: "bad_auth_token"}, login},
		{"swift", fserrors.NewErrorRetryAfter(90 * time.Second), slow},
		{"swift", &swift.Error{StatusCode: 429, Text: "Too Many Requests"}, slow},
		{"swift", &swift.Error{StatusCode: 413, Text: "Upload exceeds quota."}, full},
		{"azure", &azcore.ResponseError{ErrorCode: "ServerBusy", StatusCode: 503}, slow},
		{"azure", &azcore.ResponseError{ErrorCode: "AuthenticationFailed", StatusCode: 403}, login},
		{"sftp", fmt.Errorf("Update ReadFrom failed: %w", &sftp.StatusError{Code: 4}), other},
		{"sftp of rclone", errors.New(`sftp: "write /x: no space left on device" (SSH_FX_FAILURE)`), full},
		{"sftp", errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none password]"), login},
		{"smb", &iofs.PathError{Op: "write", Path: "x", Err: errors.New("response error: An operation failed because the disk was full.")}, full},
		{"smb", errors.New("response error: The attempted logon is invalid. This is either due to a bad username or authentication information."), login},
		{"ftp", &textproto.Error{Code: 552, Msg: "Quota exceeded"}, full},
		{"ftp", &textproto.Error{Code: 452, Msg: "Insufficient"}, full},
		{"ftp", &textproto.Error{Code: 530, Msg: "Login incorrect."}, login},
		{"ftp", &textproto.Error{Code: 550, Msg: "Permission denied."}, other},
		{"ftp", &textproto.Error{Code: 503, Msg: "Bad sequence of commands"}, other},
		{"webdav", &googleapi.Error{Code: 507, Header: retryAfter("5")}, full},
		{"koofr", httpclient.InvalidStatusError{Got: 507}, full},
		{"koofr", &httpclient.InvalidStatusError{Got: 429, Headers: retryAfter("5")}, slow},
		{"jottacloud", &jottaapi.Error{StatusCode: 507, Message: "x"}, full},
		{"mailru", &mailruapi.ServerErrorResponse{Status: 507, Message: "x"}, full},
		{"pikpak", &pikpakapi.Error{Reason: "file_space_not_enough", Code: 8}, full},
		{"seafile", restError(443, "Out of quota."), full},
		{"hidrive", restError(507, ""), full},
		{"another", restError(429, ""), slow},
		{"another", restError(500, "<html>"), other},
		{"oauth", fserrors.FatalError(errors.New(`token expired and there's no refresh token - manually refresh with "rclone config reconnect x:"`)), login},
		{"oauth", fmt.Errorf("couldn't fetch token: %w", errors.New(`invalid_grant: maybe token expired? - try refreshing with "rclone config reconnect x:"`)), login},
		{"network", syscall.ECONNREFUSED, other},
		{"network", io.ErrUnexpectedEOF, other},
	} {
		for _, err := range []error{c.err, fmt.Errorf("wrapped: %w", c.err)} {
			got := other
			_, isSlow := isSlow(err)
			switch {
			case isFull(err):
				got = full
			case isSlow:
				got = slow
			case isLogin(err, false):
				got = login
			}
			if got != c.want {
				t.Errorf("%s: %v is %s, not %s", c.from, err, c.want, got)
			}
		}
	}
}

func TestForbiddenAsAWhole(t *testing.T) {
	forbidden := &davapi.Error{Status: "403 Forbidden", StatusCode: 403}
	if isLogin(forbidden, false) || !isLogin(forbidden, true) {
		t.Error("a 403 must count where the whole backend was asked, and only there")
	}
	if o, _ := judge(ctx, "list", forbidden); o != down {
		t.Error("a list that is forbidden does not count as a lost login")
	}
}

func TestWaitTime(t *testing.T) {
	header := func(s string) error { return &googleapi.Error{Code: 429, Header: http.Header{"Retry-After": {s}}} }
	for _, c := range []struct {
		err       error
		low, high time.Duration
	}{
		{pacer.RetryAfterError(io.EOF, time.Hour), time.Hour, time.Hour},
		{pacer.RetryAfterError(io.EOF, -time.Hour), 0, 0},
		{fserrors.NewErrorRetryAfter(time.Minute), 59 * time.Second, time.Minute},
		{fserrors.ErrorRetryAfter(time.Unix(1, 0)), 0, 0},
		{header("7"), 7 * time.Second, 7 * time.Second},
		{header("-7"), 0, 0},
		{header("99999999999999999"), maxNamed, maxNamed},
		{header("soon"), 0, 0},
		{header(time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)), 59 * time.Minute, time.Hour},
		{header("Thu, 01 Jan 1970 00:00:00 GMT"), 0, 0},
		{&azcore.ResponseError{RawResponse: &http.Response{Header: http.Header{"Retry-After": {"8"}}}}, 8 * time.Second, 8 * time.Second},
		{s3Error(503, "SlowDown", "", http.Header{"Retry-After": {"9"}}), 9 * time.Second, 9 * time.Second},
		{io.EOF, 0, 0},
	} {
		if got := waitTime(c.err); got < c.low || got > c.high {
			t.Errorf("%v: %v, want %v", c.err, got, c.high)
		}
	}
}

// embedded has its status behind a pointer that is nil.
type embedded struct{ *http.Response }

func (embedded) Error() string { return "odd" }

func TestHTTPPartsOfAnything(t *testing.T) {
	for _, err := range []error{embedded{}, syscall.Errno(429), &smithyhttp.ResponseError{Response: &smithyhttp.Response{}}} {
		func() {
			defer func() {
				if p := recover(); p != nil && err != nil {
					t.Errorf("%T: %v", err, p)
				}
			}()
			if code, header := httpParts(err); code != 0 || header != nil {
				t.Errorf("%T: %d, %v", err, code, header)
			}
		}()
	}
}

func TestJudge(t *testing.T) {
	left, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		verb string
		err  error
		want outcome
	}{
		{ctx, "get", nil, answered},
		{ctx, "get", ErrNotFound, answered},
		{ctx, "get", ErrTooLarge, answered},
		{ctx, "put", fmt.Errorf("%w: %w", ErrFull, io.EOF), answered},
		{left, "get", io.EOF, silent},
		{left, "get", context.Canceled, silent},
		{ctx, "get", errLate, silent},
		{ctx, "get", io.EOF, failed},
		{ctx, "get", errStuck, failed},
		{ctx, "free", errors.ErrUnsupported, silent},
		{ctx, "free", restError(403, "no scope"), silent},
		{ctx, "list", &unreachable{io.EOF}, down},
		{ctx, "free", &unreachable{io.EOF}, down},
		{ctx, "list", &unreachable{restError(429, "")}, slowed},
		{ctx, "get", restError(401, ""), down},
		{ctx, "get", restError(403, ""), failed},
		{ctx, "put", restError(413, ""), silent},
		{ctx, "put", restError(423, ""), locked},
		{ctx, "put", restError(400, ""), failed},
	} {
		if got, _ := judge(c.ctx, c.verb, c.err); got != c.want {
			t.Errorf("%s: %v is %d, not %d", c.verb, c.err, got, c.want)
		}
	}
}

func TestRemedy(t *testing.T) {
	for remote, want := range map[string]string{
		"gdrive:annex":     "rclone config reconnect gdrive:",
		"my drive:annex":   "rclone config reconnect 'my drive:'",
		"/mnt/a:b":         "",
		":memory:bucket":   "",
		"shardraid_mem:xy": "rclone config update shardraid_mem ...",
		"shardraid_s3:xy":  "rclone config update shardraid_s3 ...",
	} {
		t.Setenv("RCLONE_CONFIG_SHARDRAID_MEM_TYPE", "memory")
		t.Setenv("RCLONE_CONFIG_SHARDRAID_S3_TYPE", "s3")
		if got := remedy(remote); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
	err := &loginError{errors.New("no\ttoken at http://me:pw@host?sig=x\nmore"), "rclone config reconnect x:"}
	if want := "no token at http://host: log in again: rclone config reconnect x:"; err.Error() != want {
		t.Errorf("got %s", err)
	}
	err.cause = errors.New(strings.Repeat("é", maxText) + "\n")
	if text := (&downError{err, time.Now()}).Error(); !strings.Contains(text, "reconnect x:; not tried again before ") || len(text) > maxText+150 {
		t.Errorf("got %s", text)
	}
}
