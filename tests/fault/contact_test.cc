// contact: a rank dies, aborts, leaves, or makes another call while the other ranks connect to it for the first time. No rank may hang or
// end by a signal, and a rank that fails may leave nothing behind. (UCX before 1.18 aborts the process if a TCP connection breaks in some
// states of its making; see transports/ucx.)
//
// Each world draws a story, its ranks and its delays from the seed. CONTACT_WORLDS sets the number of worlds. CONTACT_STORY chooses one
// story for all of them.
#include <array>

#include "tests/fault/board.h"

using namespace tutti::test;

namespace {

enum class Story { Killed, Aborted, SplitAborted, Quick, Left, Interrupted, Mismatched, Ended };
constexpr const char* kStories[] = {
    "a rank is killed",           "a rank aborts right after init",          "a rank aborts right after CommSplit",
    "several communicators, each used briefly", "a root leaves when it has sent", "a rank aborts while it waits",
    "ranks call different things", "a rank ends without destroying anything",
};
constexpr int kNumberOfStories = static_cast<int>(std::size(kStories));

struct Plan {
  Story story;
  int ranks, actor;                   // actor: the rank that dies, aborts, leaves or differs
  std::array<useconds_t, 8> late_us;  // by rank
  std::array<bool, 8> aborts;         // by rank: aborts at the end, rather than destroys
  bool all_meet;                      // every rank connects to every other; otherwise in a ring or tree
  bool anybody_aborts() const { return std::find(aborts.begin(), aborts.begin() + ranks, true) != aborts.begin() + ranks; }
};

Plan draw(std::mt19937& random, int only) {
  Plan plan;
  plan.story = static_cast<Story>(only >= 0 ? only : static_cast<int>(random() % kNumberOfStories));
  plan.ranks = 2 + static_cast<int>(random() % 3);
  plan.actor = static_cast<int>(random() % static_cast<unsigned>(plan.ranks));
  const unsigned most_us = random() % 2 ? 300 : 3000;
  for (useconds_t& late : plan.late_us) late = random() % most_us;
  for (bool& aborts : plan.aborts) aborts = random() % 2;
  plan.all_meet = random() % 2;
  return plan;
}

// Makes the first call on a communicator.
tuttiResult_t meet(const Plan& plan, tuttiComm_t comm, int rank) {
  std::vector<int> from(static_cast<size_t>(plan.ranks), rank), to(from.size());
  return plan.all_meet ? tuttiAlltoAll(from.data(), to.data(), 1, tuttiInt, comm, nullptr)
                       : tuttiAllReduce(from.data(), to.data(), 1, tuttiInt, tuttiSum, comm, nullptr);
}

void end(Rank& rank, const Plan& plan, tuttiComm_t comm) {
  if (plan.aborts[static_cast<size_t>(rank.rank)])
    rank.check(tuttiCommAbort(comm), "abort");
  else
    (void)tuttiCommDestroy(comm);  // may fail because a message was lost
}

void live(Rank& rank, const Plan& plan, int& lives) {
  const bool acts = rank.rank == plan.actor;
  const useconds_t late_us = plan.late_us[static_cast<size_t>(rank.rank)];
  tuttiComm_t comm = rank.join(lives++);
  rank.meet(lives);
  switch (plan.story) {
    case Story::Killed:
      if (acts) {
        std::thread([late_us] {
          usleep(late_us);
          kill(getpid(), SIGKILL);
        }).detach();
        for (;;)
          if (meet(plan, comm, rank.rank) != tuttiSuccess) usleep(1000);
      }
      while (meet(plan, comm, rank.rank) == tuttiSuccess) {
      }
      break;
    case Story::Aborted:
      if (acts) {
        usleep(late_us);
        rank.check(tuttiCommAbort(comm), "abort");
        return;
      }
      (void)meet(plan, comm, rank.rank);
      usleep(late_us);
      break;
    case Story::SplitAborted: {
      tuttiComm_t child = nullptr;
      rank.check(tuttiCommSplit(comm, 0, rank.rank, &child, nullptr), "split");
      if (acts) {
        usleep(late_us);
        rank.check(tuttiCommAbort(child), "abort of the child");
      } else {
        (void)meet(plan, child, rank.rank);
        end(rank, plan, child);
      }
      (void)meet(plan, comm, rank.rank);
      break;
    }
    case Story::Quick:
      for (int more = 0; more < 4; ++more) {
        if (more > 0) comm = rank.join(lives++);
        if (more != 2) rank.check(meet(plan, comm, rank.rank), "the first call");
        usleep(late_us / 8);
        rank.check(tuttiCommDestroy(comm), "destroy");
      }
      return;
    case Story::Left: {
      usleep(late_us);
      int value = rank.rank;
      const tuttiResult_t result = tuttiBroadcast(&value, &value, 1, tuttiInt, plan.actor, comm, nullptr);
      if (!plan.anybody_aborts()) rank.check(result, "broadcast");
      break;
    }
    case Story::Interrupted: {
      if (!acts) {
        usleep(late_us);
        (void)meet(plan, comm, rank.rank);
        break;
      }
      std::thread other([&] {
        usleep(late_us);
        rank.check(tuttiCommAbort(comm), "abort");
      });
      while (meet(plan, comm, rank.rank) == tuttiSuccess) {
      }
      other.join();
      return;
    }
    case Story::Mismatched: {
      int value = 0;
      (void)(acts ? tuttiBroadcast(&value, &value, 1, tuttiInt, plan.actor, comm, nullptr) : meet(plan, comm, rank.rank));
      (void)meet(plan, comm, rank.rank);
      break;
    }
    case Story::Ended:
      if (acts) {
        (void)meet(plan, comm, rank.rank);
        _exit(0);
      }
      while (meet(plan, comm, rank.rank) == tuttiSuccess) {
      }
      break;
  }
  end(rank, plan, comm);
}

int number_from(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

}  // namespace

TEST_CASE("a rank that ends at first contact ends no other by a signal", "[fault]") {
  const unsigned seed = test_seed();
  const int worlds = number_from("CONTACT_WORLDS", 40), only = number_from("CONTACT_STORY", -1);
  for (int number = 0; number < worlds; ++number) {
    std::mt19937 random(seed + static_cast<unsigned>(number));
    const Plan plan = draw(random, only);
    INFO("world " << number << ", " << plan.ranks << " ranks: " << kStories[static_cast<int>(plan.story)] << ", rank " << plan.actor);
    World world{.ranks = plan.ranks};
    world.environment = {{"TUTTI_TIMEOUT", "5"}};
    const bool dies = plan.story == Story::Killed || plan.story == Story::Ended;
    run_with_faults(world, dies ? plan.actor : -1, [&](Rank& rank) {
      int lives = 0;
      live(rank, plan, lives);
    });
  }
}
