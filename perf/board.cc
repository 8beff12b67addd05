// board: see board.h.
#include "perf/board.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tools/failure.h"
#include "tools/launch/children.h"
#include "tools/launch/pinning.h"

namespace tutti::perf {

using namespace tool;

Board::Board(int ranks, size_t values_per_rank)
    : ranks_(ranks),
      values_per_rank_(values_per_rank),
      bytes_(sizeof(Shared) + static_cast<size_t>(ranks) * values_per_rank * sizeof(double)) {
  void* const memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw Failure(std::string("no shared memory: ") + std::strerror(errno));
  shared_ = static_cast<Shared*>(memory);
  values_ = reinterpret_cast<double*>(shared_ + 1);
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&shared_->barrier, &attributes, static_cast<unsigned>(ranks));
  pthread_barrierattr_destroy(&attributes);
}

// The barrier is not destroyed: ranks that were killed in it would be waited for.
Board::~Board() {
  munmap(shared_, bytes_);
}

tuttiUniqueId Board::make_id(int rank) const {
  if (rank == 0) check(tuttiGetUniqueId(&shared_->id), "tuttiGetUniqueId", 0);
  barrier();
  const tuttiUniqueId id = shared_->id;
  barrier();
  return id;
}

int run_ranks(const std::string& program, const Board& board, bool bind, const std::function<void(int rank)>& body) {
  const std::vector<int> cores = bind ? usable_cores() : std::vector<int>{};
  Children children({.program = program});
  for (int rank = 0; rank < board.ranks(); ++rank) {
    const bool forked = children.start([&] {
      if (!cores.empty()) (void)pin_to(cores[static_cast<size_t>(rank) % cores.size()]);
      body(rank);
      return 0;
    });
    if (!forked) {
      std::fprintf(stderr, "%s: cannot fork process %d: %s\n", program.c_str(), rank, std::strerror(errno));
      return 1;
    }
  }
  return children.supervise();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace tutti::perf
