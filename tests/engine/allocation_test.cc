// SPDX-License-Identifier: Apache-2.0
// A run allocates nothing once its input's shape was seen. Replaces this program's operator new.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "octconv/base/parallel.h"
#include "octconv/engine/network.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace {

std::atomic<int> allocations{0};

void* try_allocate(std::size_t size, std::size_t alignment) noexcept {
  ++allocations;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

void* allocate(std::size_t size, std::size_t alignment) {
  void* memory = try_allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// Not inlined: GCC 12 would see free() given what operator new returned and call that a mismatch.
[[gnu::noinline]] void release(void* memory) noexcept {
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return try_allocate(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return try_allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return try_allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return try_allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete[](void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}

namespace octconv {
namespace {

TEST(Session, AllocatesNothingForShapesItHasSeen) {
  const Graph graph = octavize(make_network("resnet20"), {.alpha = 0.5}).graph;
  const Model model{.graph = graph, .weights = initial_weights(graph, 1)};
  Session session(compile(model));
  const Tensor small(Shape{1, 3, 9, 8});
  const Tensor large(Shape{3, 3, 12, 12});
  Tensor small_output;
  Tensor large_output;
  const int threads = thread_count();
  set_thread_count(2);
  session.run(small, small_output);
  session.run(large, large_output);

  const int before = allocations;
  for (int i = 0; i < 3; ++i) {
    session.run(small, small_output);
    session.run(large, large_output);
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT(before, 0);
  set_thread_count(threads);
}

}  // namespace
}  // namespace octconv
