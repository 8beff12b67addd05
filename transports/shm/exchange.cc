// exchange: see exchange.h.
#include "transports/shm/exchange.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <numeric>

#include "transports/shm/messages.h"

namespace tutti::shm {
namespace {

constexpr size_t kMostGuests = 256;  // connections that have not proved themselves yet
// When no descriptor is left: a guest that has not proved itself for kSlowNs is closed, or else nobody is accepted for kNoAcceptNs.
constexpr int64_t kSlowNs = 1'000'000'000, kNoAcceptNs = 10'000'000;

// The descriptors that a rank sends. A rank without a heap sends its arena's descriptor twice: the number is always two.
struct Files {
  Descriptor arena, heap;
};

struct Member {
  int rank;
  Descriptor socket;
  Files files;
};

// The collector's side, until all members have come.
class Collection {
 public:
  Collection(std::span<const Contact> contacts, int rank, std::vector<int> expected)
      : contacts_(contacts), rank_(rank), expected_(std::move(expected)) {}

  Status collect(const Descriptor& listener, const Patience& patience);
  std::vector<Member>& members() { return members_; }

 private:
  // A connection that has not proved itself yet.
  struct Guest {
    Descriptor socket;
    uid_t user;
    int64_t since_ns;
    bool greeted = false;
    Hello hello{};
    Nonce nonce{};
  };
  Status accept_all(const Descriptor& listener);
  Status run_out(int error);
  Status missing(const Status& why) const;
  // Reads the guest's next message. Done: the guest has become a member. Failed: the guest is to be closed.
  Progress hear(Guest& guest, Status& failure);
  bool awaited(int rank) const;
  bool make_room(int64_t before_ns);

  const std::span<const Contact> contacts_;
  const int rank_;
  const std::vector<int> expected_;
  std::vector<Guest> guests_;  // in order of arrival
  int64_t no_accept_until_ns_ = 0;  // nobody is accepted before this time
  std::vector<Member> members_;
};

bool Collection::awaited(int rank) const {
  return std::find(expected_.begin(), expected_.end(), rank) != expected_.end() &&
         std::none_of(members_.begin(), members_.end(), [&](const Member& member) { return member.rank == rank; });
}

// Closes the oldest guest of the user who has most guests, if that guest connected before `before_ns`. Returns whether it did.
bool Collection::make_room(int64_t before_ns) {
  std::map<uid_t, size_t> numbers;
  for (const Guest& guest : guests_) ++numbers[guest.user];
  const auto most = std::max_element(numbers.begin(), numbers.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == numbers.end()) return false;
  const auto oldest = std::find_if(guests_.begin(), guests_.end(), [&](const Guest& guest) { return guest.user == most->first; });
  if (oldest->since_ns > before_ns) return false;
  guests_.erase(oldest);
  return true;
}

// No descriptor is left for a new connection. Closes a slow guest if there is one. Otherwise the present guests may soon free theirs; an
// error if there are no guests.
Status Collection::run_out(int error) {
  const int64_t now = now_ns();
  if (make_room(now - kSlowNs)) return {};
  no_accept_until_ns_ = now + kNoAcceptNs;
  if (!guests_.empty()) return {};
  return system_failure(error, "shm: too many open files for the ranks of this host (raise the limit with ulimit -n)");
}

Status Collection::missing(const Status& why) const {
  const auto first = std::find_if(expected_.begin(), expected_.end(), [&](int rank) { return awaited(rank); });
  const size_t more = expected_.size() - members_.size() - 1;
  return fail(why.code(), why.text(), ": rank ", rank_, " waits for rank ", *first, more > 0 ? concat(" and ", more, " more") : "");
}

Status Collection::accept_all(const Descriptor& listener) {
  for (;;) {
    Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.open()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return {};
      return run_out(errno);
    }
    if (guests_.size() >= kMostGuests) (void)make_room(now_ns());
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
    guests_.push_back({std::move(socket), peer.uid, now_ns()});
  }
}

Progress Collection::hear(Guest& guest, Status& failure) {
  std::vector<Descriptor> descriptors;
  if (!guest.greeted) {
    const Progress progress = try_receive(guest.socket.get(), &guest.hello, sizeof guest.hello, 0, descriptors, failure);
    if (progress != Progress::Done) return progress;
    if (!awaited(guest.hello.rank)) return Progress::Failed;
    guest.greeted = true;
    guest.nonce = random_nonce();
    const Challenge challenge{guest.nonce, proof_of(contacts_[rank_].secret, kCollector, guest.hello, guest.nonce)};
    // The first message on this socket: there is room for it.
    const ssize_t sent = send(guest.socket.get(), &challenge, sizeof challenge, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == static_cast<ssize_t>(sizeof challenge) ? Progress::Again : Progress::Failed;
  }
  Admission admission{};
  const Progress progress = try_receive(guest.socket.get(), &admission, sizeof admission, 2, descriptors, failure);
  const bool proved = equal(admission.proof, proof_of(contacts_[rank_].secret, kMember, guest.hello, guest.nonce));
  if (!proved) failure = {};  // a stranger's message must not fail this rank
  if (progress != Progress::Done) return progress;
  if (!proved || descriptors.size() != 2 || !awaited(guest.hello.rank)) return Progress::Failed;
  members_.push_back({guest.hello.rank, std::move(guest.socket), {std::move(descriptors[0]), std::move(descriptors[1])}});
  return Progress::Done;
}

// Reads from all guests as their messages come, so that a silent guest does not delay the others.
Status Collection::collect(const Descriptor& listener, const Patience& patience) {
  std::vector<pollfd> polls;
  while (members_.size() < expected_.size()) {
    if (const Status more = may_wait(patience, "the arrival of all ranks of this host"); !more.ok()) return missing(more);
    polls.assign(1, {now_ns() < no_accept_until_ns_ ? -1 : listener.get(), POLLIN, 0});
    for (const Guest& guest : guests_) polls.push_back({guest.socket.get(), POLLIN, 0});
    if (poll(polls.data(), polls.size(), patience.deadline.left_ms(kSliceMs)) <= 0) continue;
    size_t kept = 0;
    for (size_t i = 0; i < guests_.size(); ++i) {
      Status failure;
      const Progress progress = polls[i + 1].revents ? hear(guests_[i], failure) : Progress::Again;
      if (failure.code() == Code::SystemError) return failure;  // of this process, not of the guest
      if (progress == Progress::Again && kept++ != i) guests_[kept - 1] = std::move(guests_[i]);
    }
    guests_.erase(guests_.begin() + static_cast<ptrdiff_t>(kept), guests_.end());
    if (polls[0].revents) TUTTI_TRY(accept_all(listener));
  }
  return {};
}

// The descriptors of a rank, and which it is.
struct Handout {
  int rank;
  std::array<int, 2> descriptors;
};

// Hands `to` the files of every local rank that lives in another process.
Status distribute(const Member& to, std::span<const Contact> contacts, std::span<const Handout> all, const Patience& patience) {
  Batch batch{};
  std::vector<int> descriptors;
  const auto flush = [&] {
    Status status = send_with_descriptors(to.socket.get(), &batch, sizeof batch, descriptors, patience);
    descriptors.clear();
    batch.count = 0;
    return status;
  };
  for (const Handout& one : all) {
    if (contacts[one.rank].process == contacts[to.rank].process) continue;
    batch.ranks[batch.count++] = one.rank;
    descriptors.insert(descriptors.end(), one.descriptors.begin(), one.descriptors.end());
    if (batch.count == kBatch) TUTTI_TRY(flush());
  }
  return flush();  // possibly empty, always shorter than a full batch: the end
}

Status attach(Neighbour& neighbour, const Contact& contact, const ArenaLayout& layout, const Descriptor& arena_file, const Descriptor& heap_file) {
  Result<std::unique_ptr<Arena>> arena = Arena::attach(layout, contact.token, arena_file.get());
  if (!arena.ok()) return arena.status();
  neighbour.arena = std::move(arena.value());
  if (contact.heap_bytes > 0) neighbour.heap = HeapView::map(heap_file.get(), contact.heap_bytes);
  return {};
}

// One rank's part in the exchange.
class Exchange {
 public:
  Exchange(int rank, std::span<const Contact> contacts, const ArenaLayout& layout, Arena& mine, std::vector<Neighbour>& neighbours,
           const Patience& patience)
      : rank_(rank), contacts_(contacts), self_(contacts[rank]), layout_(layout), mine_(mine), neighbours_(neighbours), patience_(patience) {}
  Status run(const Descriptor& listener);

 private:
  bool same_process(int peer) const { return contacts_[peer].process == self_.process; }
  bool may_be_here(int peer) const { return contacts_[peer].host == self_.host; }
  Status attach_threads();
  Status find_collector(int& collector, Descriptor& socket);
  Status find_members(std::vector<int>& members);
  Status collect(const Descriptor& listener);
  Status be_collected(int collector, const Descriptor& socket);
  std::array<int, 2> own_files() const {
    return {mine_.descriptor(), self_.heap_bytes > 0 ? heap_file().descriptor : mine_.descriptor()};
  }

  const int rank_;
  const std::span<const Contact> contacts_;
  const Contact& self_;
  const ArenaLayout& layout_;
  Arena& mine_;
  std::vector<Neighbour>& neighbours_;
  const Patience& patience_;
};

// Attaches the arenas of the other ranks of this process.
Status Exchange::attach_threads() {
  for (int peer = 0; peer < static_cast<int>(contacts_.size()); ++peer) {
    if (peer == rank_ || !same_process(peer)) continue;
    Result<std::unique_ptr<Arena>> arena = Arena::attach_local(layout_, contacts_[peer].token);
    if (!arena.ok()) return arena.status();
    neighbours_[peer].arena = std::move(arena.value());
  }
  return {};
}

// The lowest rank that answers on this host; it may be this one.
Status Exchange::find_collector(int& collector, Descriptor& socket) {
  for (collector = 0; collector < rank_; ++collector) {
    if (!may_be_here(collector)) continue;
    Result<Descriptor> connected = connect_to(contacts_[collector].token, patience_);
    if (!connected.ok()) return connected.status();
    socket = std::move(connected.value());
    if (socket.open()) return {};
  }
  return {};
}

// The ranks that the collector has to wait for: all that answer on this host.
Status Exchange::find_members(std::vector<int>& members) {
  for (int peer = rank_ + 1; peer < static_cast<int>(contacts_.size()); ++peer) {
    if (!may_be_here(peer)) continue;
    const Result<Descriptor> connected = connect_to(contacts_[peer].token, patience_);
    if (!connected.ok()) return connected.status();
    if (connected.value().open()) members.push_back(peer);
  }
  return {};
}

Status Exchange::collect(const Descriptor& listener) {
  std::vector<int> expected;
  TUTTI_TRY(find_members(expected));
  Collection collection(contacts_, rank_, std::move(expected));
  TUTTI_TRY(collection.collect(listener, patience_));
  std::vector<Handout> all{{rank_, own_files()}};
  for (const Member& member : collection.members()) all.push_back({member.rank, {member.files.arena.get(), member.files.heap.get()}});
  for (const Member& member : collection.members()) {
    TUTTI_TRY(distribute(member, contacts_, all, patience_));
    if (same_process(member.rank)) continue;
    TUTTI_TRY(attach(neighbours_[member.rank], contacts_[member.rank], layout_, member.files.arena, member.files.heap));
  }
  return {};
}

Status Exchange::be_collected(int collector, const Descriptor& socket) {
  const Hello hello{rank_, random_nonce()};
  TUTTI_TRY(send_with_descriptors(socket.get(), &hello, sizeof hello, {}, patience_));
  Challenge challenge{};
  std::vector<Descriptor> none;
  TUTTI_TRY(receive_with_descriptors(socket.get(), &challenge, sizeof challenge, 0, none, patience_));
  if (!equal(challenge.proof, proof_of(contacts_[collector].secret, kCollector, hello, challenge.nonce)))
    return fail(Code::RemoteError, "shm: a stranger answers in the place of rank ", collector, " on this host");
  const Admission admission{proof_of(contacts_[collector].secret, kMember, hello, challenge.nonce)};
  TUTTI_TRY(send_with_descriptors(socket.get(), &admission, sizeof admission, own_files(), patience_));
  for (;;) {
    Batch batch{};
    std::vector<Descriptor> descriptors;
    TUTTI_TRY(receive_with_descriptors(socket.get(), &batch, sizeof batch, kMostDescriptors, descriptors, patience_));
    if (batch.count > kBatch || 2 * batch.count != descriptors.size())
      return fail(Code::InternalError, "shm: rank ", collector, " sent descriptors that do not match their list");
    for (uint32_t i = 0; i < batch.count; ++i) {
      const int peer = batch.ranks[i];
      if (peer < 0 || peer >= static_cast<int>(contacts_.size()) || same_process(peer) || neighbours_[peer].arena)
        return fail(Code::InternalError, "shm: rank ", collector, " sent descriptors of rank ", peer, ", which were not expected");
      TUTTI_TRY(attach(neighbours_[peer], contacts_[peer], layout_, descriptors[2 * i], descriptors[2 * i + 1]));
    }
    if (batch.count < kBatch) return {};
  }
}

Status Exchange::run(const Descriptor& listener) {
  TUTTI_TRY(attach_threads());
  bool one_process = true;
  for (int peer = 0; peer < static_cast<int>(contacts_.size()); ++peer) one_process = one_process && (same_process(peer) || !may_be_here(peer));
  if (one_process) return {};
  int collector = rank_;
  Descriptor socket;
  TUTTI_TRY(find_collector(collector, socket));
  return collector == rank_ ? collect(listener) : be_collected(collector, socket);
}

}  // namespace

Status exchange_arenas(int rank, std::span<const Contact> contacts, const ArenaLayout& layout, const Descriptor& listener, Arena& mine,
                       std::vector<Neighbour>& neighbours, const Patience& patience) {
  return Exchange(rank, contacts, layout, mine, neighbours, patience).run(listener);
}

}  // namespace tutti::shm
