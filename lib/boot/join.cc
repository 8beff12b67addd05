// join: see join.h.
//
// Two kinds of id: of an ordinary one the rendezvous is there before anybody has the id, so a refused connection is final.
// A well-known address is opened by rank 0 when it comes, and an earlier communicator's rendezvous may just be closing
// there: the others try again until the deadline.
#include "lib/boot/join.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/boot/rendezvous.h"
#include "lib/boot/server.h"
#include "lib/boot/tree.h"
#include "lib/boot/unique_id.h"

namespace tutti {
namespace {

constexpr int kCancelMs = 25;      // how late a cancel may be seen
constexpr double kVerdictS = 2;    // a server that fails at the deadline gets this much longer to say why
constexpr double kOwnLingerS = 1;  // of a failed rendezvous that this call has to wait for
constexpr double kLastWordS = 0.2;
constexpr int kBrokenTries = 10;

class Joiner {
 public:
  Joiner(const Settings& settings, const IdContent& id, int rank, int ranks, const std::atomic<bool>& cancel, const Open& open)
      : settings_(settings),
        id_(id),
        rank_(rank),
        ranks_(ranks),
        cancel_(cancel),
        open_(open),
        timeout_s_(settings.seconds(Setting::InitTimeout)),
        deadline_(Deadline::after_s(timeout_s_)),
        verdict_deadline_(Deadline::after_s(timeout_s_ + kVerdictS)) {}

  Result<Joined> join();
  void retire();

 private:
  enum class Dial : uint8_t { Done, Refused, Broken, Failed };
  Dial dial(const Address& address, const Key& key, const std::string& name, std::optional<Connection>* connection,
            Status* why);
  Result<Connection> call(const Address& address, const Key& key, const std::string& name, bool patient);
  Result<Frame> await(Connection& connection, const std::string& name, bool* closed);
  Status wait(int fd, short events, const Deadline& deadline);
  std::string gone(const std::string& name) const;
  Cause given_up(const Status& why) const;
  Status give_up(Connection& connection, Status why) const;
  Status open_node(const Connection& connection, Hello* hello);
  Status meet(Hello* hello);
  Result<Joined> enter();
  Status blame(const Status& why);

  const Settings& settings_;
  const IdContent id_;
  const int rank_, ranks_;
  const std::atomic<bool>& cancel_;
  const Open& open_;
  const double timeout_s_;
  const Deadline deadline_, verdict_deadline_;
  std::unique_ptr<Server> rendezvous_;
  bool opened_ = false;
  Roster roster_{ranks_};
  Seat parent_{}, root_{};
  size_t children_ = 0;
  bool refused_ = false;  // nobody listened where the last call() went
  std::optional<Identity> host_;  // the rank in whose process the server lives, once the server has said so
};

// Until something happens at `fd` (-1: nothing can), `deadline`, or cancel, which alone is a failure.
Status Joiner::wait(int fd, short events, const Deadline& deadline) {
  for (;;) {
    if (cancel_.load(std::memory_order_acquire)) return fail(Code::InvalidUsage, "aborted");
    if (deadline.passed()) return {};
    pollfd entry{fd, events, 0};
    if (poll(&entry, 1, deadline.left_ms(kCancelMs)) > 0) return {};
  }
}

Joiner::Dial Joiner::dial(const Address& address, const Key& key, const std::string& name,
                          std::optional<Connection>* connection, Status* why) {
  const auto give_up = [&](Status status) {
    *why = std::move(status);
    return Dial::Failed;
  };
  int error = 0;
  Result<Descriptor> socket = start_connect(address, &error);
  if (!socket.ok()) return give_up(socket.status());
  const int fd = socket.value().get();
  if (error == 0) {
    if (Status status = wait(fd, POLLOUT, deadline_); !status.ok()) return give_up(status);
    if (deadline_.passed()) return Dial::Broken;
    error = connect_error(fd);
  }
  if (error == ECONNREFUSED) return Dial::Refused;
  // On one host, connecting to a free port can meet itself, when that very port is drawn for this side.
  if (const Result<Address> self = local_address(fd); error == 0 && self.ok() && self.value() == address)
    return Dial::Refused;
  if (error == ECONNRESET || error == ETIMEDOUT || error == EAGAIN || (error == EHOSTUNREACH && id_.well_known)) return Dial::Broken;
  if (error != 0) return give_up(fail(Code::RemoteError, system_failure(error, "cannot connect to ", name).text()));

  connection->emplace(std::move(socket.value()), Connection::Side::Client, key);
  while (!(*connection)->authenticated()) {
    (*connection)->write_some();
    if (Status status = wait(fd, POLLIN, deadline_); !status.ok()) return give_up(status);
    if (deadline_.passed()) return Dial::Broken;
    (*connection)->read_some();
    switch ((*connection)->link()) {
      case Connection::Link::Open: break;
      case Connection::Link::WrongSecret:
        return give_up(fail(Code::RemoteError, name,
                            " does not know the secret of this unique id: it belongs to another communicator"));
      case Connection::Link::Stranger: return give_up(fail(Code::RemoteError, "what answers as ", name, " is not Tutti"));
      default: return Dial::Broken;
    }
  }
  return Dial::Done;
}

Result<Connection> Joiner::call(const Address& address, const Key& key, const std::string& name, bool patient) {
  refused_ = false;
  for (int tries = 1;; ++tries) {
    std::optional<Connection> connection;
    Status why;
    switch (dial(address, key, name, &connection, &why)) {
      case Dial::Done: return std::move(*connection);
      case Dial::Failed: return why;
      case Dial::Refused:
        refused_ = true;
        if (!patient)
          return fail(Code::RemoteError, "nobody is at ", name, " any more: it has ended, or its process has");
        break;
      case Dial::Broken:
        if (!patient && tries == kBrokenTries) return fail(Code::RemoteError, name, " closes every connection");
        break;
    }
    if (deadline_.passed()) return fail(Code::RemoteError, name, " could not be reached within ", timeout_s_, " s");
    TUTTI_TRY(
        wait(-1, 0, Deadline::after_s(std::min({0.1, 0.005 * tries, static_cast<double>(deadline_.left_ns()) / 1e9}))));
  }
}

// The error text for a connection that the server's process has closed.
std::string Joiner::gone(const std::string& name) const {
  if (!host_) return concat(name, " closed the connection while the ranks were joining: its process died or gave up");
  const std::string who = host_->rank >= 0 ? to_text(*host_) : concat("the process that made the unique id (pid ", host_->pid, " on ", host_->host, ")");
  return concat(who, " died while the ranks were joining: its connection closed");
}

Cause Joiner::given_up(const Status& why) const {
  const bool aborted = cancel_.load(std::memory_order_acquire);
  return {aborted ? Code::RemoteError : why.code(), rank_, concat(to_text(own_identity(rank_)), " gave up while the ranks were joining: ", why.text())};
}

// Tells the server why this rank does not go on. The server tells the others.
Status Joiner::give_up(Connection& connection, Status why) const {
  if (!connection.authenticated() || connection.link() != Connection::Link::Open) return why;
  connection.send(Kind::GaveUp, Writer().cause(given_up(why)).bytes());
  finish_writing(connection, Deadline::after_s(kLastWordS));
  return why;
}

// A Failure from the other side becomes this call's failure.
Result<Frame> Joiner::await(Connection& connection, const std::string& name, bool* closed) {
  *closed = false;
  for (;;) {
    connection.write_some();
    if (Status status = wait(connection.fd(), static_cast<short>(POLLIN | (connection.unsent_bytes() ? POLLOUT : 0)), verdict_deadline_);
        !status.ok())
      return give_up(connection, std::move(status));
    connection.read_some();
    while (std::optional<Frame> frame = connection.next()) {
      if (frame->kind == Kind::Noted) {
        host_ = Reader(frame->payload).identity();
        continue;
      }
      if (frame->kind == Kind::Seats && roster_.take(frame->payload)) continue;
      if (frame->kind != Kind::Failure) return std::move(*frame);
      const Cause cause = Reader(frame->payload).cause();
      return Status(cause.code, cause.text);
    }
    *closed = connection.link() != Connection::Link::Open;
    if (connection.link() == Connection::Link::Lost) return fail(Code::RemoteError, name, lost_text());
    if (*closed) return fail(Code::RemoteError, gone(name));
    if (verdict_deadline_.passed()) return fail(Code::RemoteError, name, " did not answer within ", timeout_s_, " s");
  }
}

// A rank listens where TUTTI_SOCKET_IFNAME says, else at the address from which the rendezvous can be reached.
Status Joiner::open_node(const Connection& connection, Hello* hello) {
  Result<Address> address =
      settings_.text(Setting::SocketIfname).empty() ? local_address(connection.fd()) : choose_interface(settings_);
  if (!address.ok()) return address.status();
  hello->address = address.value().family == Address::kUnix ? fresh_unix_address() : address.value();
  hello->address.port = 0;
  Result<Descriptor> listener = listen_at(&hello->address, settings_.ports());
  if (!listener.ok()) return listener.status();
  hello->salt = random_nonce();
  TUTTI_TRY(open_(std::move(listener.value()), id_.secret, hello->salt));
  opened_ = true;
  return {};
}

// Gets to know the parent and the root; the root gets to know all.
Status Joiner::meet(Hello* hello) {
  const std::string name = concat("the rendezvous at ", to_text(id_.address));
  if (id_.well_known && rank_ == 0) {
    Address address = id_.address;
    Result<Descriptor> listener = listen_at(&address);
    if (!listener.ok()) return fail(Code::SystemError, "TUTTI_COMM_ID: rank 0 ", listener.status().text());
    Result<std::unique_ptr<Server>> rendezvous = make_rendezvous(std::move(listener.value()), id_.secret, kOwnLingerS, timeout_s_, 0);
    if (!rendezvous.ok()) return rendezvous.status();
    rendezvous_ = std::move(rendezvous.value());
    TUTTI_TRY(rendezvous_->start("tutti-meet"));
  }
  hello->who = own_identity(rank_);
  hello->ranks = ranks_;
  hello->host = host_identity();
  hello->process = process_token();
  for (;;) {
    host_.reset();
    Result<Connection> connection = call(id_.address, rendezvous_key(id_.secret), name, id_.well_known);
    if (!connection.ok()) return connection.status();
    const Status opened = opened_ ? Status() : open_node(connection.value(), hello);
    hello->left_ms = deadline_.left_ns() / 1'000'000;
    if (!opened.ok()) hello->failure = given_up(opened);
    connection.value().send(Kind::Hello, pack(*hello));
    if (!opened.ok()) {
      finish_writing(connection.value(), Deadline::after_s(kLastWordS));
      return opened;
    }
    bool closed = false;
    const Result<Frame> frame = await(connection.value(), name, &closed);
    if (!frame.ok()) {
      // A server that has not said where it lives may be an earlier communicator's rendezvous that is closing: try again.
      if (closed && id_.well_known && !host_ && !deadline_.passed()) continue;
      return frame.status();
    }
    Reader in(frame.value().payload);
    parent_ = in.seat();
    root_ = in.seat();
    children_ = in.u32();
    if (frame.value().kind != Kind::Introduction || !in.ok() || (rank_ == 0 && !roster_.complete()))
      return fail(Code::InternalError, name, " sent a message that makes no sense");
    return {};
  }
}

// The parent cannot be reached. If nobody listens there it has ended, since all were there when the rendezvous introduced them. The root tells
// the others. If the root has ended, too, that is the cause.
Status Joiner::blame(const Status& why) {
  if (cancel_.load(std::memory_order_acquire) || why.code() != Code::RemoteError) return why;
  const auto ended = [](const Seat& seat) { return concat(to_text(seat.who), kEnded, "nobody is at ", to_text(seat.address), " any more"); };
  const Cause cause{Code::RemoteError, parent_.who.rank, refused_ ? ended(parent_) : concat(to_text(own_identity(rank_)), ": ", why.text())};
  const Status blamed(cause.code, cause.text);
  if (parent_.who.rank == root_.who.rank || deadline_.passed()) return blamed;
  Result<Connection> connection = call(root_.address, node_key(id_.secret, root_.salt), to_text(root_.who), false);
  if (!connection.ok()) return refused_ ? fail(Code::RemoteError, ended(root_)) : blamed;
  host_ = root_.who;  // whose connection it is
  connection.value().send(Kind::Member, Writer().identity(own_identity(rank_)).bytes());
  connection.value().send(Kind::GaveUp, Writer().cause(cause).bytes());
  bool closed = false;
  const Result<Frame> answer = await(connection.value(), to_text(root_.who), &closed);
  return answer.ok() ? blamed : answer.status();
}

Result<Joined> Joiner::enter() {
  if (rank_ == 0) return Joined{std::nullopt, -1, children_, std::move(roster_), deadline_.left_ns()};
  const std::string name = concat(to_text(parent_.who), " at ", to_text(parent_.address));
  Result<Connection> connection = call(parent_.address, node_key(id_.secret, parent_.salt), name, false);
  if (!connection.ok()) return blame(connection.status());
  roster_.introduce(root_);
  roster_.introduce(parent_);
  return Joined{std::move(connection.value()), parent_.who.rank, children_, std::move(roster_), deadline_.left_ns()};
}

Result<Joined> Joiner::join() {
  Hello hello;
  Status met = meet(&hello);
  // Those who still come to rank 0's rendezvous hear why there is nothing to join; an aborted call does not wait for them.
  if (!met.ok() && rendezvous_ && !cancel_.load(std::memory_order_acquire)) rendezvous_->wait();
  if (!met.ok()) return met;
  return enter();
}

// The rendezvous ends when all ranks have come: here, when this one has.
void Joiner::retire() {
  const std::string name = concat("the rendezvous at ", to_text(id_.address));
  Result<Connection> connection = call(id_.address, rendezvous_key(id_.secret), name, false);
  if (!connection.ok()) return;
  connection.value().send(Kind::Hello, pack({own_identity(rank_), ranks_, deadline_.left_ns() / 1'000'000, {}, {}, {}, process_token()}));
  bool closed = false;
  (void)await(connection.value(), name, &closed);
}

}  // namespace

Status check_unique_id(const UniqueId& id) { return decode_id(id).status(); }

void retire_unique_id(const Settings& settings, const UniqueId& id) {
  const Result<IdContent> content = decode_id(id);
  if (!content.ok() || content.value().well_known) return;
  const std::atomic<bool> cancel{false};
  Joiner(settings, content.value(), 0, 1, cancel, {}).retire();
}

Result<Joined> join_ranks(const Settings& settings, const UniqueId& id, int rank, int ranks, const std::atomic<bool>& cancel,
                          const Open& open) {
  Result<IdContent> content = decode_id(id);
  if (!content.ok()) return content.status();
  return Joiner(settings, content.value(), rank, ranks, cancel, open).join();
}

}  // namespace tutti
