// flows: see flows.h. Rates by filling: the link whose flows get least fixes them, what is left of other links is shared on.
#include "lib/sched/flows.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "lib/sched/loads.h"

namespace tutti {
namespace {

constexpr double kPerSecond = 1e12;
constexpr uint32_t kCrowd = 256, kPatience = 64;  // flows, and flows per change

}  // namespace

Flows::Flows(std::vector<double> capacities) : carried_(capacities.size()), crowds_(capacities.size()) {
  for (const double capacity : capacities) links_.emplace_back().capacity = capacity;
}

uint32_t Flows::path(const std::vector<uint32_t>& links) {
  const auto [it, fresh] = known_.try_emplace(links, static_cast<uint32_t>(paths_.size()));
  if (fresh) paths_.emplace_back().links = links;
  return it->second;
}

void Flows::touch(uint32_t index) {
  if (paths_[index].changes++ == 0) changed_.push_back(index);
}

void Flows::serve(Path& path, Picoseconds now) {
  const double bytes = path.rate * (static_cast<double>(now - path.since) / kPerSecond);
  path.served += bytes;
  if (loads_ && bytes > 0)
    for (const uint32_t link : path.links) loads_->add(link, bytes * static_cast<double>(path.flows.size()), path.since, now);
  path.since = now;
}

void Flows::set_rate(uint32_t index, double rate, Picoseconds now) {
  Path& path = paths_[index];
  serve(path, now);
  path.rate = rate;
  const double seconds = std::max(0.0, path.flows.top().end - path.served) / rate;
  set_due(index, now + at_most_longest(std::ceil(seconds * kPerSecond)));
}

void Flows::start(uint32_t index, double bytes, uint32_t tag, Picoseconds now) {
  assert(bytes > 0);
  Path& path = paths_[index];
  serve(path, now);
  path.flows.push({path.served + bytes, tag});
  for (const uint32_t link : path.links) {
    carried_[link] += bytes;
    ++links_[link].flows;
  }
  touch(index);
}

void Flows::collect(Picoseconds now, std::vector<uint32_t>& done) {
  while (!heap_.empty() && paths_[heap_[0]].due <= now) {
    const uint32_t index = heap_[0];
    Path& path = paths_[index];
    serve(path, now);
    // Times are rounded up: within what two steps of the clock serve, flows end together.
    const double slack = 2 * path.rate / kPerSecond;
    while (!path.flows.empty() && path.flows.top().end <= path.served + slack) {
      done.push_back(path.flows.top().tag);
      path.flows.pop();
      for (const uint32_t link : path.links) --links_[link].flows;
      touch(index);
    }
    set_due(index, kNever);
    if (path.changes == 0) touch(index);  // not quite done: due again
  }
}

Picoseconds Flows::next(Picoseconds now) {
  for (const uint32_t index : changed_) {
    list(index);
    if (!waits(index, now)) stale_.push_back(index);
    paths_[index].changes = 0;
  }
  changed_.clear();
  if (!stale_.empty()) {
    gather();
    share(now);
    stale_.clear();
  }
  return heap_.empty() ? kNever : paths_[heap_[0]].due;
}

// Enters a path with its links, or takes it out.
void Flows::list(uint32_t index) {
  Path& path = paths_[index];
  if (path.listed == !path.flows.empty()) return;
  path.listed = !path.listed;
  for (const uint32_t link : path.links) {
    std::vector<uint32_t>& members = links_[link].members;
    if (path.listed)
      members.push_back(index);
    else
      members.erase(std::find(members.begin(), members.end(), index));
  }
  if (path.listed) return;
  path.served = path.rate = 0;
  set_due(index, kNever);
}

// Whether a change may wait for others in a crowd. If so, the path goes on as it can.
bool Flows::waits(uint32_t index, Picoseconds now) {
  Path& path = paths_[index];
  const uint32_t number = links_[path.links[0]].crowd;
  Crowd& crowd = crowds_[number];
  if (crowd.flows < kCrowd) return false;
  double rate = path.rate;
  for (const uint32_t link : path.links) {
    if (links_[link].crowd != number) return false;
    if (path.rate == 0 && links_[link].flows > 0) {
      const double even = links_[link].capacity / links_[link].flows;
      rate = rate == 0 ? even : std::min(rate, even);
    }
  }
  crowd.changes += path.changes;
  crowd.changed.push_back(index);
  if (crowd.changes >= crowd.flows / kPatience) {
    stale_.insert(stale_.end(), crowd.changed.begin(), crowd.changed.end());
    crowd.changed.clear();
    crowd.changes = 0;
    crowd.flows = 0;  // the next change of this moment need not count
    return true;
  }
  if (!path.flows.empty()) set_rate(index, rate, now);
  return true;
}

// near_links_, near_paths_: all that is connected with what is stale. They are a crowd now.
void Flows::gather() {
  near_links_.clear();
  near_paths_.clear();
  const auto visit = [&](const Path& path) {
    for (const uint32_t link : path.links)
      if (!links_[link].met) {
        links_[link].met = true;
        near_links_.push_back(link);
      }
  };
  for (const uint32_t index : stale_) visit(paths_[index]);
  for (size_t at = 0; at < near_links_.size(); ++at)
    for (const uint32_t index : links_[near_links_[at]].members) {
      if (paths_[index].met) continue;
      paths_[index].met = true;
      near_paths_.push_back(index);
      visit(paths_[index]);
    }
  uint32_t flows = 0;
  for (const uint32_t index : near_paths_) {
    paths_[index].met = false;
    flows += static_cast<uint32_t>(paths_[index].flows.size());
  }
  for (const uint32_t link : near_links_) {
    links_[link].met = false;
    links_[link].crowd = near_links_[0];
  }
  Crowd& crowd = crowds_[near_links_[0]];
  crowd.flows = flows;
  crowd.changes = 0;
  crowd.changed.clear();
}

void Flows::share(Picoseconds now) {
  struct Offer {
    double rate;
    uint32_t link;
    bool operator>(const Offer& other) const { return rate != other.rate ? rate > other.rate : link > other.link; }
  };
  std::vector<Offer> offers;
  for (const uint32_t number : near_links_) {
    LinkState& link = links_[number];
    link.left = link.capacity;
    link.without = link.flows;
    if (link.flows > 0) offers.push_back({link.left / link.without, number});
  }
  std::make_heap(offers.begin(), offers.end(), std::greater<>());
  double least = 0;  // rates grow from link to link; rounding must not say otherwise
  while (!offers.empty()) {
    std::pop_heap(offers.begin(), offers.end(), std::greater<>());
    Offer& offer = offers.back();
    const LinkState& link = links_[offer.link];
    if (link.without == 0) {
      offers.pop_back();
      continue;
    }
    const double rate = std::max(least, link.left / link.without);
    if (rate > offer.rate) {  // others took less than an equal part since
      offer.rate = rate;
      std::push_heap(offers.begin(), offers.end(), std::greater<>());
      continue;
    }
    least = rate;
    offers.pop_back();
    for (const uint32_t index : link.members) {
      Path& path = paths_[index];
      if (path.met) continue;
      path.met = true;
      const uint32_t flows = static_cast<uint32_t>(path.flows.size());
      for (const uint32_t other : path.links) {
        links_[other].left -= rate * flows;
        links_[other].without -= flows;
      }
      set_rate(index, rate, now);
    }
  }
  for (const uint32_t index : near_paths_) paths_[index].met = false;
}

// ---- the heap of paths by their next end

void Flows::set_due(uint32_t index, Picoseconds due) {
  Path& path = paths_[index];
  const Picoseconds before = path.due;
  if (before == due) return;
  path.due = due;
  if (before == kNever) {
    path.heap = static_cast<uint32_t>(heap_.size());
    heap_.push_back(index);
  } else if (due == kNever) {
    const uint32_t at = path.heap, last = heap_.back();
    heap_.pop_back();
    if (last == index) return;
    heap_[at] = last;
    paths_[last].heap = at;
    return sift(at);
  }
  sift(path.heap);
}

// Moves what is at `at` up or down to where it belongs.
void Flows::sift(uint32_t at) {
  const auto swap = [&](uint32_t a, uint32_t b) {
    std::swap(heap_[a], heap_[b]);
    paths_[heap_[a]].heap = a;
    paths_[heap_[b]].heap = b;
  };
  for (; at > 0 && earlier(heap_[at], heap_[(at - 1) / 2]); at = (at - 1) / 2) swap(at, (at - 1) / 2);
  for (;;) {
    uint32_t least = at;
    for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap_.size(); ++child)
      if (earlier(heap_[child], heap_[least])) least = child;
    if (least == at) return;
    swap(at, least);
    at = least;
  }
}

}  // namespace tutti
