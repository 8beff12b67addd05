// server: see server.h.
#include "lib/boot/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <new>

#include "lib/base/clock.h"
#include "lib/base/thread.h"

namespace tutti {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kHandshakeNs = 5000 * kMs;
constexpr int64_t kFlushNs = 1000 * kMs;
constexpr int kMaxAccepted = 64;       // before the open connections are read again
constexpr int64_t kSlowNs = 200 * kMs;  // an honest client needs two round trips
constexpr int64_t kNoAcceptNs = 50 * kMs;
// Nobody lets this much pile up but a process that has stopped reading.
constexpr size_t kMaxUnsentBytes = 4u << 20;

}  // namespace

Server::Server(Descriptor listener, Bell bell, const Key& key, std::unique_ptr<Service> service)
    : listener_(std::move(listener)), bell_(std::move(bell)), key_(key), service_(std::move(service)) {}

Result<std::unique_ptr<Server>> Server::make(Descriptor listener, const Key& key, std::unique_ptr<Service> service) {
  Result<Bell> bell = Bell::make();
  if (!bell.ok()) return bell.status();
  return std::unique_ptr<Server>(new Server(std::move(listener), std::move(bell.value()), key, std::move(service)));
}

Server::~Server() {
  stop(false);
  close_listener();
}

Status Server::start(const char* thread_name) {
  return start_thread(&thread_, thread_name, [this] { run(); });
}

Status Server::start_detached(std::unique_ptr<Server> server, const char* thread_name) {
  Thread thread;
  TUTTI_TRY(start_thread(&thread, thread_name, [server = std::move(server)] { server->run(); }));
  thread.detach();
  return {};
}

void Server::wait() {
  if (thread_.joinable()) thread_.join();
}

void Server::stop(bool in_peace) {
  if (!thread_.joinable()) return;
  stop_.store(in_peace ? Stop::InPeace : Stop::InAnger);
  bell_.ring();
  thread_.join();
}

void Server::run() {
  try {
    serve();
  } catch (const std::exception&) {
    try {
      service_->on_no_memory();
    } catch (const std::exception&) {
      // There is no memory for a last message. The peers take the end of their connections for a death.
    }
    close_listener();
  }
  try {
    flush();
  } catch (const std::exception&) {
    peers_.clear();
  }
}

// Frames are read, then the service decides, then the listener closes if it is no longer wanted, and only then something is
// written: whoever has been told that all is complete finds no open listener of the past.
void Server::serve() {
  for (;;) {
    const Stop stop = stop_.load();
    if (stop != Stop::No) service_->on_stop(stop == Stop::InPeace);
    service_->on_clock(now_ns());
    if (!service_->accepting() || service_->finished()) close_listener();
    if (service_->finished()) break;
    for (const auto& peer : peers_) peer->connection.write_some();
    wait_for_events();
  }
}

void Server::wait_for_events() {
  int64_t now = now_ns();
  int64_t wake = service_->wake_ns();
  for (const auto& peer : peers_)
    if (!peer->connection.authenticated()) wake = std::min(wake, peer->since_ns + kHandshakeNs);
  std::vector<pollfd> fds;
  fds.reserve(peers_.size() + 2);
  fds.push_back({bell_.fd(), POLLIN, 0});
  const bool paused = now < no_accept_until_ns_;
  if (listener_.open() && paused) wake = std::min(wake, no_accept_until_ns_);
  fds.push_back({paused ? -1 : listener_.get(), POLLIN, 0});
  for (const auto& peer : peers_)
    fds.push_back({peer->connection.fd(), static_cast<short>(POLLIN | (peer->connection.unsent_bytes() ? POLLOUT : 0)), 0});
  service_->add_waits(fds);
  const int64_t left_ms = wake <= now ? 0 : (wake - now + kMs - 1) / kMs;
  wait_for_any(fds, std::min<int64_t>(left_ms, 60'000) * kMs);

  if (fds[0].revents) bell_.hush();
  now = now_ns();
  for (size_t i = 0; i < peers_.size(); ++i) {
    if (!(fds[i + 2].revents & ~POLLOUT)) continue;
    Peer& peer = *peers_[i];
    const bool was_proved = peer.connection.authenticated();
    peer.connection.read_some();
    if (!was_proved && peer.connection.authenticated()) --unproved_;
    while (!peer.unwanted) {
      const std::optional<Frame> frame = peer.connection.next();
      if (!frame) break;
      service_->on_frame(peer, *frame);
    }
  }
  drop_peers(now);
  service_->on_waits();
  if (fds[1].revents && service_->accepting()) accept_some(now);
}

void Server::drop_peers(int64_t now) {
  size_t kept = 0;
  for (size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = *peers_[i];
    const bool proved = peer.connection.authenticated();
    const bool late = !proved && now >= peer.since_ns + kHandshakeNs;
    const bool ended = peer.connection.link() != Connection::Link::Open || peer.connection.unsent_bytes() > kMaxUnsentBytes;
    if (!peer.unwanted && !late && !ended) {
      if (kept != i) peers_[kept] = std::move(peers_[i]);
      ++kept;
      continue;
    }
    if (!proved) --unproved_;
    if (proved && !peer.unwanted) service_->on_closed(peer);
    peers_[i].reset();
  }
  peers_.resize(kept);
}

// Closes a connection that has not proved itself: the oldest of the source that has most of these. Only if it came before `before_ns`.
bool Server::make_room(int64_t before_ns) {
  std::map<std::pair<std::array<uint8_t, 16>, uint32_t>, size_t> numbers;
  const auto source_of = [](const Peer& peer) { return std::pair(peer.source.ip, peer.source.scope); };
  for (const auto& peer : peers_)
    if (!peer->connection.authenticated()) ++numbers[source_of(*peer)];
  const auto most = std::max_element(numbers.begin(), numbers.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == numbers.end()) return false;
  const auto oldest = std::find_if(peers_.begin(), peers_.end(), [&](const auto& peer) {
    return !peer->connection.authenticated() && source_of(*peer) == most->first;
  });
  if ((*oldest)->since_ns > before_ns) return false;
  peers_.erase(oldest);
  --unproved_;
  return true;
}

// Called when accept4() finds no resources. Closes a connection that is slow to prove itself. If there is none, waits a while: connections
// may end. If all have proved themselves, none will end, so the service is told.
void Server::run_out(int error, int64_t now) {
  if (make_room(now - kSlowNs)) return;
  no_accept_until_ns_ = now + kNoAcceptNs;
  if (unproved_ > 0) return;
  service_->on_exhausted(system_failure(error, "no more connections of ranks can be accepted (", peers_.size(),
                                        " are open; raise the limit with ulimit -n)"));
}

void Server::accept_some(int64_t now) {
  for (int accepted = 0; accepted < kMaxAccepted; ++accepted) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    Descriptor socket(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.open()) {
      const int error = errno;
      if (error == EINTR || error == ECONNABORTED) continue;
      if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM) return;
      return run_out(error, now);
    }
    if (unproved_ >= service_->most_unproved()) (void)make_room(now);
    prepare_socket(socket.get());
    const Address source = source_of(socket.get(), from);
    peers_.push_back(std::make_unique<Peer>(Peer{Connection(std::move(socket), Connection::Side::Server, key_), now, source}));
    ++unproved_;
  }
}

// The shutdown matters if another process holds a copy of the listener by fork(): it stops listening all the same.
void Server::close_listener() {
  if (!listener_.open()) return;
  shutdown(listener_.get(), SHUT_RDWR);
  listener_.reset();
}

// Sends what the service has queued. From now on the service hears nothing of the peers.
void Server::flush() {
  const int64_t end = now_ns() + kFlushNs;
  std::erase_if(peers_, [](const auto& peer) { return !peer || !peer->connection.authenticated(); });
  for (const auto& peer : peers_)
    if (peer->rank < 0) service_->on_leftover(peer->connection);
  std::vector<bool> closing(peers_.size(), false);
  while (!peers_.empty() && now_ns() < end) {
    std::vector<pollfd> fds;
    for (size_t i = 0; i < peers_.size();) {
      Connection& connection = peers_[i]->connection;
      connection.write_some();
      if (connection.unsent_bytes() == 0 && !closing[i]) {
        connection.finish_writing();
        closing[i] = true;
      }
      // Closing with unread bytes would reset the connection, and the other side might lose our last words.
      if (!connection.drain()) {
        peers_.erase(peers_.begin() + static_cast<long>(i));
        closing.erase(closing.begin() + static_cast<long>(i));
        continue;
      }
      fds.push_back({connection.fd(), static_cast<short>(POLLIN | (connection.unsent_bytes() ? POLLOUT : 0)), 0});
      ++i;
    }
    if (!fds.empty()) wait_for_any(fds, end - now_ns());
  }
  peers_.clear();
}

}  // namespace tutti
