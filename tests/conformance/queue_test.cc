// queue: streams and groups. The same checks as everywhere, but with many calls under way.
#include "tests/catch.h"
#include "tests/conformance/suite.h"

namespace tutti::test {
namespace {

constexpr int kBatches = 40;
constexpr size_t kCounts[] = {0, 1, 5, 64, 1000, 9001, 40000};

// One world per way of driving ranks.
struct Way {
  int ranks, threads;
};
constexpr Way kWays[] = {{3, 1}, {4, 4}, {4, 2}};

std::vector<Case> random_batch(uint64_t seed, int ranks) {
  std::vector<Case> batch(1 + hash(seed, 1) % 8);
  for (size_t i = 0; i < batch.size(); ++i) {
    const uint64_t key = hash(seed, 2, i);
    batch[i] = random_case(key, static_cast<Kind>(key / 16 % kKinds), ranks, kCounts[key % std::size(kCounts)]);
  }
  return batch;
}

// `arrange` puts a batch's cases on streams; it may depend on the rank.
void play_batches(const std::string& name, bool grouped, const std::function<int(const Case&, int rank)>& arrange) {
  for (const Way& way : kWays) {
    World world;
    world.ranks = way.ranks;
    world.threads = way.threads;
    world.deadline_s = 120;
    conform(name + ", " + std::to_string(way.ranks) + " ranks, " + std::to_string(way.threads) + " in a process", world,
            [&](Rank& rank) {
              const tuttiComm_t comm = rank.join();
              uint64_t played;
              {
                Player player(rank, {{rank.rank, comm}}, rank.ranks);
                for (uint64_t b = 0; b < kBatches; ++b) {
                  std::vector<Case> batch = random_batch(hash(b, 0xba7c4, name.size()), rank.ranks);
                  for (Case& c : batch) c.stream = arrange(c, rank.rank);
                  player.play(batch, grouped);
                }
                played = player.played();
              }
              rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
              return played;
            });
  }
}

int no_stream(const Case&, int) {
  return -1;
}
int one_stream(const Case&, int) {
  return 0;
}
int two_streams(const Case& c, int) {
  return static_cast<int>(hash(c.seed, 3) % 2);
}
int any_stream(const Case& c, int) {
  return static_cast<int>(hash(c.seed, 3) % 3) - 1;
}
// The ranks of a call need not agree about streams.
int own_stream(const Case& c, int rank) {
  return static_cast<int>(hash(c.seed, 3, static_cast<uint64_t>(rank)) % 4) - 1;
}

}  // namespace

TEST_CASE("several calls on one stream", "[stream]") {
  play_batches("one stream", false, one_stream);
}
TEST_CASE("calls on two streams", "[stream]") {
  play_batches("two streams", false, two_streams);
}
TEST_CASE("calls on streams and without", "[stream]") {
  play_batches("streams and none", false, any_stream);
}
TEST_CASE("each rank uses streams as it likes", "[stream]") {
  play_batches("streams of one's own", false, own_stream);
}
// More sends and receives at once than calls are kept ready for, with collectives among them: two batches by turns, now and then one
// in another order.
TEST_CASE("batches of many calls come round", "[group]") {
  conform("many by turns", {.ranks = 3}, [](Rank& rank) -> uint64_t {
    constexpr uint64_t kRounds = 24, kMany = 14;
    const tuttiComm_t comm = rank.join();
    uint64_t played;
    {
      Player player(rank, {{rank.rank, comm}}, rank.ranks);
      for (uint64_t round = 0; round < kRounds; ++round) {
        std::vector<Case> batch;
        for (uint64_t i = 0; i < kMany; ++i) {
          const uint64_t which = hash(21, round % 2, i);
          batch.push_back(random_case(which, i % 5 == 4 ? Kind::AllReduce : Kind::SendRecv, rank.ranks, which % 3000));
          batch.back().seed = hash(round, i);
          batch.back().stream = -1;
        }
        if (round % 5 == 4) std::reverse(batch.begin(), batch.end());
        player.play(batch, true);
      }
      played = player.played();
    }
    rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
    return played;
  });
}

TEST_CASE("groups of sends, receives and collectives", "[group]") {
  play_batches("group", true, no_stream);
}
TEST_CASE("groups on a stream", "[group][stream]") {
  play_batches("group on a stream", true, one_stream);
}
TEST_CASE("groups over several streams", "[group][stream]") {
  play_batches("group over streams", true, any_stream);
}

TEST_CASE("many AllReduces in one group", "[group]") {
  World world;
  world.ranks = 4;
  conform("AllReduces in a group", world, [](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    Player player(rank, {{rank.rank, comm}}, rank.ranks);
    for (uint64_t round = 0; round < 4; ++round) {
      std::vector<Case> batch;
      for (uint64_t i = 0; i < 50; ++i)
        batch.push_back(random_case(hash(round, 4, i), Kind::AllReduce, rank.ranks, kCounts[i % std::size(kCounts)]));
      player.play(batch, true);
    }
    rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
    return player.played();
  });
}

// Short messages overtake the long one on its lane, as far as they may.
TEST_CASE("a long message and many short ones to the same peer, in one group", "[group]") {
  World world;
  world.ranks = 2;
  world.deadline_s = 60;
  conform("long and short messages", world, [](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    Player player(rank, {{rank.rank, comm}}, rank.ranks);
    for (uint64_t round = 0; round < 6; ++round) {
      std::vector<Case> batch;
      for (uint64_t i = 0; i < 40; ++i) {
        Case c = random_case(hash(round, 5, i), Kind::SendRecv, rank.ranks, i == round * 5 ? 6'000'000 : 1000);
        c.type = tuttiInt8;
        c.variant = 0;
        if (round % 2 == 0) c.announced = 0;
        batch.push_back(c);
      }
      player.play(batch, true);
    }
    rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
    return player.played();
  });
}

TEST_CASE("groups nest, and may be empty", "[group]") {
  World world;
  world.ranks = 3;
  world.threads = 3;
  conform("nested groups", world, [](Rank& rank) -> uint64_t {
    const tuttiComm_t comm = rank.join();
    rank.check(tuttiGroupStart(), "start");
    rank.check(tuttiGroupEnd(), "end of an empty group");
    Part first(random_case(1, Kind::AllReduce, rank.ranks, 100), rank.rank, rank.ranks);
    Part second(random_case(2, Kind::SendRecv, rank.ranks, 5000), rank.rank, rank.ranks);
    Part third(random_case(3, Kind::AlltoAll, rank.ranks, 1000), rank.rank, rank.ranks);
    rank.check(tuttiGroupStart(), "start");
    first.issue(comm, nullptr);
    rank.check(tuttiGroupStart(), "inner start");
    second.issue(comm, nullptr);
    rank.check(tuttiGroupStart(), "innermost start");
    rank.check(tuttiGroupEnd(), "innermost end");
    rank.check(tuttiGroupEnd(), "inner end");
    third.issue(comm, nullptr);
    rank.check(tuttiGroupEnd(), "end");
    for (Part* part : {&first, &second, &third}) part->check();
    rank.check(tuttiGroupEnd(), "an end without a start", tuttiInvalidUsage);
    rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
    return 3;
  });
}

// Communicators are independent: half of the ranks name them the other way round.
TEST_CASE("several communicators in one group", "[group]") {
  for (const bool streams : {false, true}) {
    for (const Way& way : kWays) {
      World world;
      world.ranks = way.ranks;
      world.threads = way.threads;
      conform(streams ? "communicators in a group, on streams" : "communicators in a group", world, [&](Rank& rank) {
        constexpr int kComms = 3;
        tuttiComm_t comms[kComms];
        tuttiStream_t used[kComms] = {};
        for (int k = 0; k < kComms; ++k) {
          comms[k] = rank.join(k);
          if (streams && k > 0) rank.check(tuttiStreamCreate(&used[k]), "tuttiStreamCreate");
        }
        uint64_t played = 0;
        for (uint64_t round = 0; round < 20; ++round) {
          std::vector<std::unique_ptr<Part>> parts;
          rank.check(tuttiGroupStart(), "tuttiGroupStart");
          for (int i = 0; i < 2 * kComms; ++i) {
            // Two cases per communicator, in the same order on all ranks.
            const int comm = rank.rank % 2 ? kComms - 1 - i % kComms : i % kComms, order = i / kComms * kComms + comm;
            const uint64_t key = hash(round, 5, static_cast<uint64_t>(order));
            const Case c =
                random_case(key, static_cast<Kind>(key % kKinds), rank.ranks, kCounts[key / 16 % std::size(kCounts)]);
            rank.note(describe(c));
            parts.push_back(std::make_unique<Part>(c, rank.rank, rank.ranks));
            parts.back()->issue(comms[comm], used[comm]);
          }
          rank.check(tuttiGroupEnd(), "tuttiGroupEnd");
          for (tuttiStream_t stream : used)
            if (stream) rank.check(tuttiStreamSynchronize(stream), "tuttiStreamSynchronize");
          for (const auto& part : parts) part->check();
          played += parts.size();
        }
        for (tuttiStream_t stream : used)
          if (stream) rank.check(tuttiStreamDestroy(stream), "tuttiStreamDestroy");
        for (tuttiComm_t comm : comms) rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
        return played;
      });
    }
  }
}

}  // namespace tutti::test
