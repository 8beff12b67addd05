// sweep: every collective with every type, op, count, placement and alignment in worlds of every shape, and again with every
// algorithm, with small tiles, and over a transport that delays, reorders and refuses.
//
// Not the full product. Each world of the first test plays every (collective, type, op) once, with the other dimensions
// drawn; the parent draws the same cases and REQUIREs that every pair of values of any two dimensions has come up.
#include <cstdlib>
#include <set>

#include "lib/sched/algorithm.h"
#include "tests/catch.h"
#include "tests/conformance/suite.h"

namespace tutti::test {
namespace {

constexpr size_t kCounts[] = {0, 1, 2, 3, 7, 13, 64, 1000, 4097, 70001};
constexpr size_t kFewCounts[] = {0, 1, 3, 7, 13, 64, 1000, 4097};

// CONFORMANCE_THREADS: only worlds in which ranks are threads, for a sanitizer that sees nothing of what processes do to one another.
bool threads_only() {
  static const bool only = std::getenv("CONFORMANCE_THREADS") != nullptr;
  return only;
}

enum class Drivers { Processes, Threads, OneThread, Mixed };

struct Shape {
  int ranks;
  Drivers drivers;
};

const char* name_of(Drivers drivers) {
  static const char* const names[] = {"processes", "threads", "driven by one thread", "processes of two threads"};
  return names[static_cast<size_t>(drivers)];
}

std::string name_of(const Shape& shape) {
  return std::to_string(shape.ranks) + " ranks, " + name_of(shape.drivers);
}

std::vector<Case> all_combinations(int ranks, uint64_t seed, std::span<const size_t> counts) {
  std::vector<Case> cases;
  for (int kind = 0; kind < kKinds; ++kind) {
    for (int type = 0; type < tuttiNumTypes; ++type) {
      for (int op = 0; op < (has_op(static_cast<Kind>(kind)) ? kOps : 1); ++op) {
        const uint64_t key = hash(seed, static_cast<uint64_t>(kind * 1000 + type * 10 + op));
        // The larger half is drawn less often: it takes most of the time.
        size_t count = counts[key % counts.size()];
        if (count > 10000 && key / 64 % 3 != 0) count = counts[key / 64 % 8];
        Case c = random_case(key, static_cast<Kind>(kind), ranks, count);
        c.type = static_cast<tuttiDataType_t>(type);
        c.op = op;
        cases.push_back(c);
        if (c.kind == Kind::Barrier) type = tuttiNumTypes;
      }
    }
  }
  return cases;
}

// A sample of all_combinations().
std::vector<Case> some_combinations(int ranks, uint64_t seed, size_t one_in) {
  std::vector<Case> cases;
  for (const Case& c : all_combinations(ranks, seed, kFewCounts))
    if (hash(c.seed, 0x5a) % one_in == 0) cases.push_back(c);
  return cases;
}

// Every collective once on a few MiB.
std::vector<Case> large_cases(int ranks, uint64_t seed) {
  std::vector<Case> cases;
  for (int kind = 0; kind < kKinds; ++kind) {
    const bool blocks = !(kind == static_cast<int>(Kind::AllReduce) || kind == static_cast<int>(Kind::Reduce) ||
                          kind == static_cast<int>(Kind::Broadcast) || kind == static_cast<int>(Kind::Bcast));
    Case c = random_case(hash(seed, 0x1a49e, static_cast<uint64_t>(kind)), static_cast<Kind>(kind), ranks,
                         blocks ? 700001 / static_cast<size_t>(ranks) / 2 : 700001);
    if (size_of(c.type) == 8) c.count /= 2;
    cases.push_back(c);
  }
  return cases;
}

// Makes this world's communicator, plays with it, destroys it.
template <typename Play>
uint64_t with_player(Rank& rank, const Shape& shape, Play play) {
  std::vector<Member> members;
  if (shape.drivers == Drivers::OneThread) {
    std::vector<tuttiComm_t> comms(static_cast<size_t>(shape.ranks));
    rank.check(tuttiCommInitAll(comms.data(), shape.ranks, nullptr), "tuttiCommInitAll");
    for (int r = 0; r < shape.ranks; ++r) members.push_back({r, comms[static_cast<size_t>(r)]});
  } else {
    members.push_back({rank.rank, rank.join()});
  }
  uint64_t played;
  {
    Player player(rank, members, shape.ranks);
    play(player);
    played = player.played();
  }
  for (const Member& member : members) rank.check(tuttiCommDestroy(member.comm), "tuttiCommDestroy");
  return played;
}

World world_of(const Shape& shape) {
  World world;
  world.ranks = shape.drivers == Drivers::OneThread ? 1 : shape.ranks;
  world.threads = shape.drivers == Drivers::Threads ? shape.ranks : shape.drivers == Drivers::Mixed ? 2 : 1;
  world.deadline_s = 150;
  return world;
}

void play_all(const std::string& name, const Shape& shape, World world, const std::vector<Case>& cases) {
  if (threads_only() && shape.drivers != Drivers::Threads && shape.drivers != Drivers::Mixed) return;
  conform(name + ": " + name_of(shape), world, [&](Rank& rank) {
    return with_player(rank, shape, [&](Player& player) {
      for (const Case& c : cases) player.play(c);
    });
  });
}

// Every pair of values of two dimensions that the cases have shown.
class Pairs {
 public:
  static constexpr int kDimensions = 10;
  static std::vector<int> values_of(const Case& c, int shape) {
    const bool some = c.in_place != 0 && c.in_place != ~0u;
    const int place = c.in_place == 0 ? 0 : some ? 2 : 1;
    int count = 0;
    while (count < 9 && kCounts[count] != c.count) ++count;
    return {static_cast<int>(c.kind),
            has_op(c.kind) ? c.op : -1,
            c.type,
            count,
            place,
            c.send_shift,
            c.recv_shift,
            c.variant,
            shape,
            c.announced != 0};
  }
  void add(const Case& c, int shape) {
    const std::vector<int> values = values_of(c, shape);
    for (int a = 0; a < kDimensions; ++a) {
      seen_.insert({a, values[static_cast<size_t>(a)]});
      for (int b = a + 1; b < kDimensions; ++b)
        pairs_.insert({a, values[static_cast<size_t>(a)], b, values[static_cast<size_t>(b)]});
    }
  }
  // Pairs of values that were seen, but never together, where that is possible.
  int missing() const {
    int missing = 0;
    for (const auto& [a, x] : seen_)
      for (const auto& [b, y] : seen_)
        if (a < b && possible(a, x, b, y) && !pairs_.count({a, x, b, y})) {
          UNSCOPED_INFO("dimensions " << a << " and " << b << ": values " << x << " and " << y);
          ++missing;
        }
    return missing;
  }

 private:
  static bool possible(int a, int x, int b, int y) {
    const auto is = [](int kind, Kind k) { return kind == static_cast<int>(k); };
    if (a != 0) return true;
    if (b == 1) return has_op(static_cast<Kind>(x)) == (y >= 0);
    if (is(x, Kind::Barrier)) return b == 8;  // it is played once a world: its other dimensions mean nothing
    return !(b == 7 && is(x, Kind::SendRecv) && y == 3);
  }
  std::set<std::pair<int, int>> seen_;
  std::set<std::tuple<int, int, int, int>> pairs_;
};

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> shapes = [] {
    std::vector<Shape> all;
    for (int ranks : {1, 2, 3, 4, 5, 8})
      for (Drivers drivers : {Drivers::Processes, Drivers::Threads, Drivers::OneThread}) all.push_back({ranks, drivers});
    all.push_back({4, Drivers::Mixed});
    all.push_back({5, Drivers::Mixed});
    return all;
  }();
  return shapes;
}

std::vector<Case> cases_of(size_t shape) {
  return all_combinations(shapes()[shape].ranks, 1000 + shape, kCounts);
}

}  // namespace

TEST_CASE("every collective, type and op in every world", "[sweep]") {
  for (size_t s = 0; s < shapes().size(); ++s) play_all("sweep", shapes()[s], world_of(shapes()[s]), cases_of(s));
}

TEST_CASE("the sweep covers all pairs of dimensions", "[sweep]") {
  Pairs pairs;
  for (size_t s = 0; s < shapes().size(); ++s)
    for (const Case& c : cases_of(s)) pairs.add(c, static_cast<int>(s));
  CHECK(pairs.missing() == 0);
}

TEST_CASE("large messages", "[sweep]") {
  for (const Shape& shape : {Shape{2, Drivers::Processes}, Shape{3, Drivers::Threads}, Shape{4, Drivers::Processes}})
    play_all("large", shape, world_of(shape), large_cases(shape.ranks, 1));
}

// Memory that peers read and write in place, on some ranks or all, for results that stay in the caches and for results that are
// written past them.
TEST_CASE("messages in place", "[sweep]") {
  for (const char* cache : {"1", "1G"}) {
    for (const Shape& shape : {Shape{2, Drivers::Processes}, Shape{3, Drivers::Threads}, Shape{4, Drivers::Processes},
                               Shape{5, Drivers::OneThread}, Shape{4, Drivers::Mixed}}) {
      for (const char* fault : {"", "seed=3,delay=30,reorder=20,press=30"}) {
        World world = world_of(shape);
        world.environment.emplace_back("TUTTI_CACHE", cache);
        if (*fault) world.environment.emplace_back("TUTTI_FAULT", fault);
        // Only shm has a way of its own for such memory.
        const size_t one_in = transport() == "shm" ? 12 : 30;
        std::vector<Case> cases = some_combinations(shape.ranks, hash(10, static_cast<uint64_t>(cache[1])), one_in);
        for (Case& c : cases) {
          c.count = 30000 + c.seed % 20000;
          if (c.announced == 0) c.announced = c.seed % 3 == 0 ? 0b10u : ~0u;
        }
        play_all(std::string("in place, cache of ") + cache + (*fault ? ", faulty" : ""), shape, world, cases);
      }
    }
  }
}

// Between two ranks the last AllReduce's memory decides the next one's algorithm: on both, one or none it is such that the other
// reaches into it, by turns and for a while. A few calls come again and again, in place on one rank or another.
TEST_CASE("AllReduces of two ranks in memory of all kinds", "[sweep]") {
  for (const Shape& shape : {Shape{2, Drivers::Processes}, Shape{2, Drivers::Threads}, Shape{2, Drivers::OneThread}}) {
    for (const char* fault : {"", "seed=7,delay=30,reorder=20,press=30"}) {
      World world = world_of(shape);
      if (*fault) world.environment.emplace_back("TUTTI_FAULT", fault);
      std::vector<Case> cases;
      for (uint64_t i = 0; i < 80; ++i) {
        const uint64_t seed = hash(15, i % 7);
        Case c = random_case(seed, Kind::AllReduce, shape.ranks, 0);
        const size_t bytes = (seed % 5 == 0 ? 8 : seed % 5 == 1 ? 300 << 10 : 16 << 10) + seed / 8 % 70000;
        c.count = bytes / size_of(c.type) + 1;
        constexpr uint32_t kWhose[] = {~0u, ~0u, 0, 0b01, 0b10};
        c.announced = kWhose[i < 30 ? i / 6 : hash(16, i) % 5];
        c.in_place = static_cast<uint32_t>(hash(17, i));
        c.seed = i;
        cases.push_back(c);
      }
      play_all(std::string("mapped or not") + (*fault ? ", faulty" : ""), shape, world, cases);
    }
  }
}

// Messages of plain memory, of several tiles in both directions at once. The sizes are below and above what the transport has room for. Some
// posts are refused (press=).
TEST_CASE("long exchanges", "[sweep]") {
  for (const Shape& shape : {Shape{2, Drivers::Processes}, Shape{4, Drivers::Mixed}}) {
    for (const char* fault : {"", "seed=5,delay=30,reorder=20,press=30"}) {
      World world = world_of(shape);
      if (*fault) world.environment.emplace_back("TUTTI_FAULT", fault);
      std::vector<Case> cases;
      for (const Case& c : some_combinations(shape.ranks, 11, 2))
        if (c.kind == Kind::AlltoAll || c.kind == Kind::SendRecv) cases.push_back(c);
      for (Case& c : cases) {
        constexpr size_t kBytes[] = {256 << 10, 1 << 20, 1 << 20, 4400 << 10};
        c.count = (kBytes[c.seed % 4] + c.seed % 100000) / size_of(c.type) + 1;
        c.announced = hash(c.seed, 9) % 4 == 0 ? 0b10u : 0;
      }
      play_all(std::string("long exchanges") + (*fault ? ", faulty" : ""), shape, world, cases);
    }
  }
}

// On one host, and on uneven hosts and racks that TUTTI_TOPO makes up, where hierarchical has something to do.
TEST_CASE("every algorithm", "[sweep]") {
  const std::pair<Shape, const char*> places[] = {{Shape{3, Drivers::Processes}, ""},
                                                  {Shape{4, Drivers::Processes}, "host:2 core:3+1"},
                                                  {Shape{8, Drivers::OneThread}, "rack:2 host:1+2 core:2+3+3"}};
  for (const Algorithm& algorithm : all_algorithms()) {
    bool serves = false;
    for (const auto& [shape, text] : places) {
      const Topology topology = *text ? Topology::synthetic(text).value() : Topology::flat(shape.ranks);
      for (int c = 0; c < kCollectives; ++c)
        serves |= algorithm.applies({static_cast<Collective>(c), 0, 0, shape.ranks, false, true, topology});
      World world = world_of(shape);
      world.environment.emplace_back("TUTTI_ALGO", algorithm.name);
      if (*text) world.environment.emplace_back("TUTTI_TOPO", text);
      play_all(std::string("algorithm ") + algorithm.name, shape, world,
               some_combinations(shape.ranks, hash(7, static_cast<uint64_t>(shape.ranks)), 2));
    }
    CHECK(serves);
  }
}

TEST_CASE("tiles of every number", "[sweep]") {
  for (const char* in_flight : {"1", "3", "16"}) {
    for (const Shape& shape : {Shape{2, Drivers::Processes}, Shape{4, Drivers::Processes}, Shape{5, Drivers::Threads}}) {
      World world = world_of(shape);
      world.environment.emplace_back("TUTTI_TILE", "4096");
      world.environment.emplace_back("TUTTI_TILES_IN_FLIGHT", in_flight);
      std::vector<Case> cases = some_combinations(shape.ranks, hash(8, static_cast<uint64_t>(in_flight[0])), 4);
      for (Case& c : cases)
        if (c.seed % 4 == 0) c.count = 20011;
      play_all(std::string("tiles of 4096 bytes, in flight: ") + in_flight, shape, world, cases);
    }
  }
}

TEST_CASE("a transport that delays, reorders and refuses", "[sweep]") {
  for (const char* tile : {"131072", "4096"}) {
    for (const Shape& shape : {Shape{2, Drivers::Processes}, Shape{3, Drivers::Processes}, Shape{4, Drivers::Threads},
                               Shape{5, Drivers::OneThread}}) {
      World world = world_of(shape);
      world.environment.emplace_back("TUTTI_FAULT", "seed=" + std::to_string(shape.ranks) + ",delay=30,reorder=20,press=30");
      world.environment.emplace_back("TUTTI_TILE", tile);
      play_all(
          std::string("faulty, tiles of ") + tile, shape, world,
          some_combinations(shape.ranks, hash(9, static_cast<uint64_t>(tile[0]), static_cast<uint64_t>(shape.ranks)), 1));
    }
  }
}

}  // namespace tutti::test
