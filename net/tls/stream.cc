#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/lost_pages.h"
#include "net/deadlines_internal.h"
#include "net/tls/stream_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

constexpr size_t kReadBytes = 16 << 10;
// Of a write's bytes, what is encrypted ahead of the stream below.
constexpr size_t kAheadBytes = 64 << 10;
constexpr size_t kRecordBytes = 16 << 10;
// Of what was sent, at most this much stays for the next time.
constexpr size_t kKeptBytes = 16 << 10;
// More than a write has ahead: what is beyond it are answers to the peer.
constexpr size_t kOwedBytes = 128 << 10;
static_assert(kOwedBytes > kAheadBytes + 2 * kRecordBytes);
// How long a client that is refused is told so and heard.
constexpr absl::Duration kTellTime = absl::Seconds(2);

// Whether a peer that begins with this byte speaks TLS: a record has its type in front
// (RFC 8446, section 5.1).
bool BeginsRecord(char byte) { return byte >= 20 && byte <= 24; }

// How reading failed, by the last error of this thread.
std::string ReadErrors() {
  switch (ERR_GET_REASON(ERR_peek_last_error())) {
    // In TLS 1.3 a client hears only after its end of the handshake what the server thinks of it.
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the server asks for a certificate of the client";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the peer does not trust the certificate that it was shown";
    default:
      return absl::StrCat("TLS read failed: ", SslErrors());
  }
}

// On its loop only. The machine between two streams: OpenSSL, fed and drained
// through memory. Outlives its stream while a call of it is under way.
class TlsCore : public std::enable_shared_from_this<TlsCore> {
 public:
  TlsCore(std::unique_ptr<Stream> inner, SslPtr ssl, Proof proof,
          std::shared_ptr<const std::string> plain_refusal)
      : loop_(inner->loop()),
        peer_(inner->peer()),
        inner_(std::move(inner)),
        ssl_(std::move(ssl)),
        proof_(proof),
        plain_refusal_(std::move(plain_refusal)),
        in_(BIO_new(BIO_s_mem())),
        out_(BIO_new(BIO_s_mem())),
        deadlines_(loop_, [this](Deadlines::Direction direction) { Expired(direction); }) {
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);  // which owns them now
  }

  EventLoop* loop() const { return loop_; }
  const std::string& peer() const { return peer_; }
  StreamSocket socket() const { return inner_ == nullptr ? StreamSocket() : inner_->socket(); }

  void Begin() { Pump(); }

  void Read(absl::Span<char> buffer, absl::Duration timeout, Stream::ReadCallback callback) {
    read_.callback = std::move(callback);
    read_.buffer = buffer;
    if (!read_.dead.ok()) {
      read_.result = read_.dead;
    } else if (buffer.empty()) {
      read_.result = absl::InvalidArgumentError("a read into an empty buffer");
    } else {
      deadlines_.Set(Deadlines::kRead, timeout);
      Pump();
    }
    DeliverSoon();
  }

  void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
             Stream::WriteCallback callback) {
    write_.callback = std::move(callback);
    if (!write_.dead.ok()) {
      write_.result = write_.dead;
    } else {
      write_.pieces.assign(pieces.begin(), pieces.end());
      write_.next = 0;
      write_.lost_pages = lost_pages.load(std::memory_order_acquire);
      deadlines_.Set(Deadlines::kWrite, timeout);
      Pump();
    }
    DeliverSoon();
  }

  void CloseWrite() {
    if (!write_.dead.ok()) return;
    write_.dead = absl::FailedPreconditionError("write after CloseWrite()");
    ending_ = true;
    Pump();
  }

  void Close() {
    if (closed_) return;
    // A courtesy, where it can go out at once.
    if (SSL_is_init_finished(ssl_.get()) && !ending_ && !mute_ && !writing_ &&
        BIO_pending(out_) == 0) {
      SSL_shutdown(ssl_.get());
      Flush();
    }
    closed_ = true;
    deadlines_.Stop();
    tell_timer_.reset();
    read_.dead = write_.dead = absl::CancelledError("the stream was closed");
    if (read_.callback != nullptr) read_.result = read_.dead;
    if (write_.callback != nullptr) write_.result = write_.dead;
    if (inner_ != nullptr) inner_->Close();
    DeliverSoon();
  }

  // The stream's end: nothing of it is called after this.
  void Detach() {
    const Stream::ReadCallback read = std::exchange(read_.callback, nullptr);
    const Stream::WriteCallback write = std::exchange(write_.callback, nullptr);
    Close();
    inner_.reset();
  }

 private:
  bool reading() const { return read_.callback != nullptr && !read_.result.has_value(); }
  bool write_waits() const { return write_.callback != nullptr && !write_.result.has_value(); }

  // Goes as far as what came from below allows.
  void Pump() {
    if (closed_ || telling_) return;
    if (!SSL_is_init_finished(ssl_.get())) Handshake();
    if (telling_) return;
    if (SSL_is_init_finished(ssl_.get())) {
      Encrypt();
      Decrypt();
    }
    Flush();
    if (closed_) return;
    const bool all_out = !writing_ && BIO_pending(out_) == 0;
    if (write_waits() && write_.next == write_.pieces.size() && all_out &&
        SSL_is_init_finished(ssl_.get())) {
      EndWrite(absl::OkStatus());
    }
    if (told_end_ && all_out && !std::exchange(ended_below_, true)) inner_->CloseWrite();
    if ((reading() || (!SSL_is_init_finished(ssl_.get()) && failure_.ok())) && !reading_ &&
        below_.ok() && !below_ended_ && !Owing()) {
      StartRead();
    }
  }

  void Handshake() {
    if (!failure_.ok()) return Fail(failure_);
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return;
    if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) {
      if (below_.ok() && !below_ended_) return;
      if (!below_.ok()) return Fail(below_);
      Fail(absl::UnavailableError(
          is_server() ? "the peer went away before the TLS handshake ended"
                      : "the server went away before the TLS handshake ended: does it speak TLS?"));
      return;
    }
    const std::string errors = SslErrors();
    if (proof_ == Proof::kSharedSecret) {
      // Neither end learns more than that: the other has another secret, none, or no TLS at all.
      return Fail(absl::UnavailableError(
          absl::StrCat("the two ends do not have one shared secret (TLS: ", errors, ")")));
    }
    const int64_t verified = SSL_get_verify_result(ssl_.get());
    const absl::Status why = absl::UnavailableError(absl::StrCat(
        "TLS handshake failed: ",
        verified != X509_V_OK ? X509_verify_cert_error_string(verified) : errors.c_str()));
    if (is_server() && BIO_pending(out_) > 0) return Tell(why);
    Fail(why);
  }

  bool is_server() const { return SSL_is_server(ssl_.get()) == 1; }

  // Of the first bytes of the peer: whether they are taken, because they are no TLS.
  bool TakePlain(char first) {
    if (proof_ != Proof::kCertificate || BeginsRecord(first)) return false;
    if (!is_server()) {
      Fail(absl::UnavailableError("the server does not speak TLS"));
      return true;
    }
    if (plain_refusal_ == nullptr || plain_refusal_->empty()) return false;
    BIO_write(out_, plain_refusal_->data(), static_cast<int>(plain_refusal_->size()));
    Tell(absl::UnavailableError("the client does not speak TLS"));
    return true;
  }

  // Sends what is in out_ as the last of this end, and fails with `why` once the peer has left: a
  // connection that is closed with bytes unread is reset, and with it what was said.
  void Tell(const absl::Status& why) {
    failure_ = why;
    telling_ = true;
    tell_timer_ = loop_->NewTimer();
    tell_timer_->Start(kTellTime, [this] {
      const std::shared_ptr<TlsCore> self = shared_from_this();
      EndTelling();
    });
    Flush();
  }

  // Behind each write while it tells.
  void Told(const absl::Status& status) {
    if (closed_ || !status.ok()) return EndTelling();
    if (BIO_pending(out_) > 0) return Flush();  // the one before it was of the handshake
    inner_->CloseWrite();
    if (!reading_) StartRead();
  }

  // Behind each read.
  void HeardMore(const absl::StatusOr<size_t>& n) { n.ok() && *n > 0 ? StartRead() : EndTelling(); }

  void EndTelling() {
    telling_ = false;
    tell_timer_.reset();
    Fail(failure_);
    Deliver();
  }

  // Both directions, for good.
  void Fail(const absl::Status& status) {
    failure_ = status;
    if (reading()) EndRead(status);
    if (write_waits()) EndWrite(status);
    if (read_.dead.ok()) read_.dead = status;
    if (write_.dead.ok()) write_.dead = status;
  }

  void Encrypt() {
    while (write_waits() && write_.next < write_.pieces.size() &&
           static_cast<size_t>(BIO_pending(out_)) < kAheadBytes) {
      absl::string_view& piece = write_.pieces[write_.next];
      if (piece.empty()) {
        ++write_.next;
        continue;
      }
      ERR_clear_error();
      const int n = SSL_write(ssl_.get(), piece.data(),
                              static_cast<int>(std::min(piece.size(), kRecordBytes)));
      if (n <= 0) {
        EndWrite(absl::UnavailableError(absl::StrCat("TLS write failed: ", SslErrors())));
        return;
      }
      if (lost_pages.load(std::memory_order_acquire) != write_.lost_pages) {
        // Zeros may have come in the place of what was to be sent, and are encrypted
        // now: nothing more goes out.
        (void)BIO_reset(out_);
        mute_ = true;
        EndWrite(absl::UnavailableError("what is being sent is gone: a mapped file shrank"));
        return;
      }
      piece.remove_prefix(n);
    }
    if (ending_ && !mute_ && write_.callback == nullptr && !std::exchange(told_end_, true)) {
      SSL_shutdown(ssl_.get());
    }
  }

  // What waits to go out that this end did not ask for: answers to the peer's key
  // updates. It must take them before it is read from again.
  bool Owing() const { return static_cast<size_t>(BIO_pending(out_)) >= kOwedBytes; }

  void Decrypt() {
    if (!reading() || Owing()) return;
    ERR_clear_error();
    const int most =
        static_cast<int>(std::min<size_t>(read_.buffer.size(), std::numeric_limits<int>::max()));
    const int n = SSL_read(ssl_.get(), read_.buffer.data(), most);
    if (n > 0) return EndRead(static_cast<size_t>(n));
    switch (SSL_get_error(ssl_.get(), n)) {
      case SSL_ERROR_ZERO_RETURN:
        return EndRead(size_t{0});
      case SSL_ERROR_WANT_READ:
        if (!below_.ok()) return EndRead(below_);
        if (below_ended_) EndRead(size_t{0});
        return;
      default:
        EndRead(absl::UnavailableError(ReadErrors()));
    }
  }

  // Hands on what was encrypted.
  void Flush() {
    if (writing_ || BIO_pending(out_) == 0 || inner_ == nullptr || mute_) return;
    char* bytes = nullptr;
    const int64_t size = BIO_get_mem_data(out_, &bytes);
    sent_.assign(bytes, size);
    (void)BIO_reset(out_);
    writing_ = true;
    const absl::string_view piece = sent_;
    inner_->Write(absl::MakeConstSpan(&piece, 1), absl::InfiniteDuration(),
                  [this](const absl::Status& status) { Written(status); });
  }

  void Written(const absl::Status& status) {
    const std::shared_ptr<TlsCore> self = shared_from_this();
    writing_ = false;
    // A large answer is not kept for the next one.
    if (sent_.capacity() > kKeptBytes) sent_ = std::string();
    if (telling_) return Told(status);
    if (status.ok()) {
      Pump();
    } else {
      if (write_waits()) EndWrite(status);
      if (write_.dead.ok()) write_.dead = status;
      if (!SSL_is_init_finished(ssl_.get())) Fail(status);
    }
    Deliver();
  }

  void StartRead() {
    if (buffer_ == nullptr) buffer_ = std::make_unique<char[]>(kReadBytes);
    reading_ = true;
    inner_->Read(absl::MakeSpan(buffer_.get(), kReadBytes), absl::InfiniteDuration(),
                 [this](absl::StatusOr<size_t> n) { HaveRead(std::move(n)); });
  }

  void HaveRead(absl::StatusOr<size_t> n) {
    const std::shared_ptr<TlsCore> self = shared_from_this();
    reading_ = false;
    if (telling_) return HeardMore(n);
    if (!n.ok()) {
      below_ = n.status();
    } else if (*n == 0) {
      below_ended_ = true;
    } else if (!std::exchange(heard_, true) && TakePlain(buffer_[0])) {
      return Deliver();
    } else {
      BIO_write(in_, buffer_.get(), static_cast<int>(*n));
    }
    Pump();
    Deliver();
  }

  void EndRead(absl::StatusOr<size_t> result) {
    deadlines_.Clear(Deadlines::kRead);
    if (!result.ok() && read_.dead.ok()) read_.dead = result.status();
    read_.result = std::move(result);
  }

  void EndWrite(const absl::Status& result) {
    deadlines_.Clear(Deadlines::kWrite);
    write_.pieces.clear();  // the bytes are the caller's again
    write_.next = 0;
    if (!result.ok() && write_.dead.ok()) write_.dead = result;
    write_.result = result;
  }

  void Expired(Deadlines::Direction direction) {
    if (direction == Deadlines::kRead) {
      if (reading()) EndRead(absl::DeadlineExceededError("read timed out"));
    } else {
      if (write_waits()) EndWrite(absl::DeadlineExceededError("write timed out"));
    }
    DeliverSoon();
  }

  // Calls back what has ended. A callback may destroy the stream.
  void Deliver() {
    if (read_.callback != nullptr && read_.result.has_value()) {
      absl::StatusOr<size_t> result = *std::move(read_.result);
      read_.result.reset();
      std::exchange(read_.callback, nullptr)(std::move(result));
    }
    if (write_.callback != nullptr && write_.result.has_value()) {
      const absl::Status result = *std::move(write_.result);
      write_.result.reset();
      std::exchange(write_.callback, nullptr)(result);
      // What CloseWrite() waited for.
      if (ending_ && !closed_) Pump();
    }
  }

  // Deliver(), behind the caller's return.
  void DeliverSoon() {
    const bool wanted = (read_.callback != nullptr && read_.result.has_value()) ||
                        (write_.callback != nullptr && write_.result.has_value());
    if (!wanted || std::exchange(delivering_, true)) return;
    loop_->Post([self = shared_from_this()] {
      self->delivering_ = false;
      self->Deliver();
    });
  }

  EventLoop* const loop_;
  const std::string peer_;
  std::unique_ptr<Stream> inner_;
  const SslPtr ssl_;
  const Proof proof_;
  const std::shared_ptr<const std::string> plain_refusal_;  // of a server; may be null
  BIO* const in_;                                           // from below
  BIO* const out_;                                          // to below
  Deadlines deadlines_;

  bool closed_ = false;
  bool delivering_ = false;
  absl::Status failure_;  // of the handshake
  bool heard_ = false;    // a byte of the peer
  // The handshake has failed: the peer is told, and what it still sends is thrown away.
  bool telling_ = false;
  std::unique_ptr<Timer> tell_timer_;

  // Of the stream below.
  bool reading_ = false;
  bool writing_ = false;
  bool below_ended_ = false;
  absl::Status below_;  // how its reading failed
  std::unique_ptr<char[]> buffer_;
  std::string sent_;  // what it is writing

  // The end of this direction: wanted, said to the peer, handed below.
  bool ending_ = false;
  bool told_end_ = false;
  bool ended_below_ = false;
  bool mute_ = false;  // nothing is handed below any more

  // A callback stands while its operation is under way; `dead` is what later
  // ones end with.
  struct {
    Stream::ReadCallback callback;
    absl::Span<char> buffer;
    absl::optional<absl::StatusOr<size_t>> result;
    absl::Status dead;
  } read_;
  struct {
    Stream::WriteCallback callback;
    std::vector<absl::string_view> pieces;
    size_t next = 0;
    uint64_t lost_pages = 0;  // when it began
    absl::optional<absl::Status> result;
    absl::Status dead;
  } write_;
};

class TlsStream final : public Stream {
 public:
  explicit TlsStream(std::shared_ptr<TlsCore> core) : core_(std::move(core)) {}
  ~TlsStream() override { core_->Detach(); }

  void Read(absl::Span<char> buffer, absl::Duration timeout, ReadCallback callback) override {
    core_->Read(buffer, timeout, std::move(callback));
  }
  void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
             WriteCallback callback) override {
    core_->Write(pieces, timeout, std::move(callback));
  }
  void CloseWrite() override { core_->CloseWrite(); }
  void Close() override { core_->Close(); }
  EventLoop* loop() const override { return core_->loop(); }
  std::string peer() const override { return core_->peer(); }
  StreamSocket socket() const override { return core_->socket(); }

 private:
  const std::shared_ptr<TlsCore> core_;
};

}  // namespace

std::string SslErrors() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {  // NOLINT(google-runtime-int): OpenSSL's
    const char* const reason = ERR_reason_error_string(code);
    absl::StrAppend(&text, text.empty() ? "" : ", ", reason != nullptr ? reason : "unknown error");
  }
  return text.empty() ? "unknown error" : text;
}

std::unique_ptr<Stream> NewTlsStream(std::unique_ptr<Stream> inner, SslPtr ssl, Proof proof,
                                     std::shared_ptr<const std::string> plain_refusal) {
  auto core =
      std::make_shared<TlsCore>(std::move(inner), std::move(ssl), proof, std::move(plain_refusal));
  core->Begin();
  return std::make_unique<TlsStream>(std::move(core));
}

}  // namespace net_internal
}  // namespace kvarts
