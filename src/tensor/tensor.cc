// SPDX-License-Identifier: Apache-2.0
#include "octconv/tensor/tensor.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include <sys/mman.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

constexpr std::size_t kAlignment = 64;  // one cache line, one AVX-512 vector
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLarge = std::size_t{256} << 10;

constexpr std::size_t whole_pages(std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  return (bytes + kPage - 1) / kPage * kPage;
}

// Large tensors come from the system and go back to it at once: a heap would keep their memory
// between smaller ones. They are asked for in huge pages: walks over many small ones miss the
// processor's table of pages, which costs an inference a few percent. What does not fill a huge
// page stays in small ones, so that no memory is wasted.
float* allocate_large(std::size_t bytes) {
  const std::size_t room = whole_pages(bytes) + kHugePage;
  void* mapped = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<std::byte*>(mapped);
  const std::size_t before =
      (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) ::munmap(begin, before);
  if (before < kHugePage) ::munmap(begin + before + whole_pages(bytes), kHugePage - before);
#ifdef MADV_HUGEPAGE
  // May be refused: only a wish.
  ::madvise(begin + before, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<float*>(begin + before);
}

float* allocate(std::size_t bytes) {
  if (bytes >= kLarge) return allocate_large(bytes);
  return static_cast<float*>(::operator new[](bytes, std::align_val_t{kAlignment}));
}

void release(float* data, std::size_t bytes) noexcept {
  if (bytes >= kLarge) {
    ::munmap(data, whole_pages(bytes));
  } else {
    ::operator delete[](data, std::align_val_t{kAlignment});
  }
}

}  // namespace

void Tensor::Free::operator()(float* data) const noexcept {
  if (owner == nullptr) release(data, bytes);
}

Tensor::Tensor(Shape shape) : Tensor(shape, nullptr) {}

Tensor::Tensor(Shape shape, TensorPool* pool, Contents contents)
    : shape_(shape), elements_(shape.elements()) {
  if (elements_ > std::numeric_limits<std::int64_t>::max() / 8) {
    throw InvalidArgument("tensor: shape " + shape.to_string() + " has too many elements");
  }
  const auto count = static_cast<std::size_t>(elements_);
  const std::size_t bytes = count * sizeof(float);
  if (pool == nullptr) {
    data_ = {allocate(bytes), Free{bytes, nullptr}};
    // The system gives zeros.
    const bool is_zero = bytes >= kLarge;
    if (contents == Contents::kZero && !is_zero) std::fill_n(data_.get(), count, 0.0F);
  } else {
    auto [data, owner] = pool->take(count, contents);
    data_ = {data, Free{0, std::move(owner)}};
  }
}

Tensor Tensor::clone() const {
  Tensor copy(shape_);
  std::copy_n(data(), elements_, copy.data());
  return copy;
}

std::pair<float*, std::shared_ptr<const void>> TensorPool::take(std::size_t count,
                                                                Contents contents) {
  constexpr std::size_t kPiece = (std::size_t{16} << 20) / sizeof(float);
  constexpr std::size_t kLine = kAlignment / sizeof(float);
  const std::size_t rounded = (count + kLine - 1) / kLine * kLine;
  if (rounded > size_ - used_) {
    size_ = std::max(rounded, kPiece);
    used_ = 0;
    const std::size_t bytes = size_ * sizeof(float);
    piece_ = {allocate(bytes), [bytes](float* data) { release(data, bytes); }};
    is_zero_ = true;  // a piece is large
  }
  float* data = piece_.get() + used_;
  used_ += rounded;
  if (contents == Contents::kZero && !is_zero_) std::fill_n(data, count, 0.0F);
  return {data, piece_};
}

Tensor Tensor::reshaped(Shape shape) && {
  if (shape.elements() != elements_) {
    throw InvalidArgument("tensor: shape " + shape_.to_string() + " cannot become " +
                          shape.to_string());
  }
  shape_ = shape;
  return std::move(*this);
}

}  // namespace octconv
