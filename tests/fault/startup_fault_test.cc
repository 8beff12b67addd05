// startup_fault: a rank that is lost between joining the control plane and connecting the transports. The others are then
// inside a transport's connect(), where they must hear of it as promptly as everywhere else.
//
// The lost rank is played with the library's own parts: it joins, opens its transports, publishes their addresses as
// Comm::connect() does, and goes no further. Another test has a stranger connect to the sockets by which ranks of a host meet.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstddef>
#include <fstream>
#include <map>

#include "lib/base/descriptor.h"
#include "lib/boot/boot.h"
#include "lib/comm/seats.h"
#include "lib/transport/transport.h"
#include "tests/fault/board.h"

using namespace tutti;
using namespace tutti::test;

namespace {

constexpr int kMet = 0, kOver = 1;  // flags

void append(std::string& to, const std::string& field) {
  const auto length = static_cast<uint32_t>(field.size());
  to.append(reinterpret_cast<const char*>(&length), sizeof length);
  to += field;
}

// A rank that comes as far as everyone's addresses.
class HalfStarted {
 public:
  HalfStarted(Rank& rank, const tuttiUniqueId& public_id) {
    Result<Settings> settings = Settings::load();
    expect(settings.ok(), settings.status().text());
    UniqueId id;
    std::memcpy(id.data(), public_id.internal, id.size());
    Result<std::unique_ptr<Control>> joined = Control::join(settings.value(), id, rank.rank, rank.ranks, {}, never_);
    expect(joined.ok(), joined.status().text());
    control_ = std::move(joined.value());

    const size_t tile = std::max<size_t>(4096, settings.value().number(Setting::Tile));
    std::string blob;
    Seats seats;
    const Status read = seats.read(settings.value(), rank.rank, rank.ranks);
    expect(read.ok(), read.text());
    // Ranks of one host go no further than the first transport.
    Result<std::unique_ptr<Transport>> made =
        all_transports()[0].create({rank.rank, rank.ranks, tile, settings.value(), never_});
    expect(made.ok(), made.status().text());
    transport_ = std::move(made.value());
    Result<std::string> address = transport_->address();
    expect(address.ok(), address.status().text());
    std::string terms = concat(TUTTI_VERSION_CODE, "|", tile, "|", seats.given());
    for (const Setting setting : {Setting::Algo, Setting::Transports}) append(terms, settings.value().text(setting));
    std::string introduction;
    for (const std::string& field : {terms, std::string("0"), std::string(), seats.whereabouts()}) append(introduction, field);
    for (const std::string& field : {introduction, std::string("0"), std::string(), address.value()}) append(blob, field);
    const auto all = control_->all_gather(blob, Deadline::after_s(10), "a test");
    expect(all.ok(), all.status().text());
  }

 private:
  const std::atomic<bool> never_{false};
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Control> control_;
};

}  // namespace

TEST_CASE("a rank that dies before it connects its transports is named by the others", "[fault]") {
  const int victim = GENERATE(2, 0);  // 0: the one that the others connect to
  INFO("rank " << victim << " dies");
  SharedBoard board;
  run_with_faults({.ranks = 4}, victim, [&](Rank& rank) {
    const tuttiUniqueId id = rank.id(0, 1);
    if (rank.rank == victim) {
      const HalfStarted half(rank, id);
      usleep(200'000);  // the others have gone on to connect
      board->slots[victim].at_ns = now_ns();
      kill(getpid(), SIGKILL);
    }
    tuttiComm_t comm = nullptr;
    board->take(rank.rank, tuttiCommInitRank(&comm, 4, id, rank.rank));
    expect(comm == nullptr, "a communicator came of it");
  });
  for (int rank = 0; rank < 4; ++rank) {
    if (rank == victim) continue;
    check_failure(*board.get(), rank, tuttiRemoteError, {"rank " + std::to_string(victim), "died"});
    CHECK(board->slots[rank].at_ns - board->slots[victim].at_ns < 2'000'000'000);
  }
}

TEST_CASE("abort ends a non-blocking init while the transports connect", "[fault]") {
  const int stuck = GENERATE(2, 0), aborter = 1, other = 2 - stuck;
  INFO("rank " << stuck << " is stuck");
  SharedBoard board;
  run_with_faults({.ranks = 3}, -1, [&](Rank& rank) {
    const tuttiUniqueId id = rank.id(0, 1);
    if (rank.rank == stuck) {
      const HalfStarted half(rank, id);
      rank.raise_flag(kMet);
      rank.wait_flag(kOver, 2);
      return;
    }
    tuttiComm_t comm = nullptr;
    if (rank.rank == other) {
      board->take(rank.rank, tuttiCommInitRank(&comm, 3, id, rank.rank));
      return rank.raise_flag(kOver);
    }
    tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
    config.blocking = 0;
    rank.check(tuttiCommInitRankConfig(&comm, 3, id, rank.rank, &config), "init", tuttiInProgress);
    rank.wait_flag(kMet, 1);
    usleep(200'000);  // this rank and the other have gone on to connect
    const double begin = now_s();
    rank.check(tuttiCommAbort(comm), "abort");
    expect(now_s() - begin < 1, "abort did not return promptly");
    rank.raise_flag(kOver);
  });
  check_failure(*board.get(), other, tuttiRemoteError, {"rank " + std::to_string(aborter) + " aborted"});
}

namespace {

// The names of the sockets at which ranks of this host listen. Anybody can see them.
std::vector<std::string> socket_names() {
  std::vector<std::string> names;
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    const size_t at = line.find("@tutti-");
    if (at != std::string::npos) names.push_back(line.substr(at + 1));
  }
  return names;
}

// Connects to such a socket and sends nonsense with many descriptors.
bool knock(const std::string& name, Descriptor& socket) {
  socket = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), std::min(name.size(), sizeof address.sun_path - 1));
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) != 0)
    return false;
  char nonsense[36] = "hello";
  iovec data{nonsense, sizeof nonsense};
  const std::vector<int> descriptors(200, socket.get());
  std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
  std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
  return sendmsg(socket.get(), &message, MSG_NOSIGNAL) > 0;
}

}  // namespace

TEST_CASE("a stranger who sends descriptors to a rank's socket keeps no rank out", "[fault]") {
  SharedBoard board;
  const pid_t stranger = fork();
  if (stranger == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (std::map<std::string, Descriptor> known;;)
      for (const std::string& name : socket_names())
        if (known.count(name) == 0 && knock(name, known[name])) ++board->slots[0].calls;
  }
  for (int round = 0; round < 40 && (round < 5 || board->slots[0].calls == 0); ++round)
    run_with_faults({.ranks = 4}, -1, [](Rank& rank) { rank.check(tuttiCommDestroy(rank.join()), "destroy"); });
  kill(stranger, SIGKILL);
  waitpid(stranger, nullptr, 0);
  CHECK(board->slots[0].calls > 0);
}
