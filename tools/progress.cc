// progress: see progress.h.
#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "lib/base/clock.h"

namespace tutti::tool {
namespace {

constexpr int64_t kFirstNs = 500'000'000;    // what is done by then needs no progress
constexpr int64_t kBetweenNs = 100'000'000;  // two texts
constexpr double kLeastShare = 0.01;         // below, the time left is anybody's guess

std::string text_of_left(double seconds) {
  char text[48];
  if (seconds < 90)
    std::snprintf(text, sizeof text, "about %.0f s left", std::max(1.0, std::ceil(seconds)));
  else if (seconds < 5400)
    std::snprintf(text, sizeof text, "about %.0f min left", std::ceil(seconds / 60));
  else
    std::snprintf(text, sizeof text, "about %.1f h left", seconds / 3600);
  return text;
}

size_t columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

std::string progress_text(const std::string& what, const std::string& units, double done, double total, double elapsed_s,
                          const std::string& detail) {
  const double share = total > 0 ? std::clamp(done / total, 0.0, 1.0) : 0;
  char text[128];
  std::snprintf(text, sizeof text, ": %.0f of %.0f %s, %.0f %%", std::floor(done), total, units.c_str(), std::floor(100 * share));
  std::string line = what + text;
  if (share >= kLeastShare && share < 1) line += ", " + text_of_left(elapsed_s * (1 - share) / share);
  return detail.empty() ? line : line + " (" + detail + ")";
}

Progress::Progress(std::string what, std::string units, double total)
    : what_(std::move(what)), units_(std::move(units)), total_(total), terminal_(isatty(STDERR_FILENO) == 1), began_ns_(now_ns()) {}

void Progress::at(double done, const std::string& detail) {
  if (!terminal_) return;
  const int64_t now = now_ns();
  if (now - began_ns_ < kFirstNs || now - written_ns_ < kBetweenNs) return;
  written_ns_ = now;
  shown_ = true;
  std::string line = progress_text(what_, units_, done, total_, static_cast<double>(now - began_ns_) * 1e-9, detail);
  line.resize(std::min(line.size(), columns() - 1));  // a longer one could not be rewritten in place
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  shown_ = false;
  written_ns_ = 0;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
}

}  // namespace tutti::tool
