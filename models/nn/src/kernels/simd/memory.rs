//! What the allocator and the page tables are told about large blocks.
//!
//! A network asks for the same large blocks again and again. By default glibc gives every one of them back to the system
//! when it is freed, and the system zeroes and maps it anew, page by page, when it is asked for again.

/// Largest block that the allocator takes from its heap rather than from the system; the most that glibc allows.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGEST: libc::c_int = 32 << 20;
/// Freed memory at the heap's end that the process keeps, bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: libc::c_int = 1 << 30;

/// Makes the allocator keep up to 1 GiB of freed memory for the next tensors, from one heap for all threads, until
/// [`release_freed_memory`].
///
/// To be called once, before other threads start. Does something with glibc alone; other allocators keep freed memory
/// by themselves.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets numbers in the allocator. A refused one (the result is then 0) leaves the default, which is slower only.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives freed memory back to the system, after work that took much of it.
pub fn release_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: touches memory that is free alone.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Asks for large pages behind a block of memory that has not been written yet: fewer faults, fewer table walks.
pub(super) fn advise_large_pages(block: &mut [f32]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 2 << 20;
        let begin = block.as_ptr() as usize;
        let end = begin + size_of_val(block);
        let (first, last) = (begin.next_multiple_of(PAGE), end / PAGE * PAGE);
        if first < last {
            // SAFETY: the range lies inside the block; the advice changes how it is mapped, not what it holds, and may be
            // refused.
            unsafe {
                libc::madvise(
                    first as *mut libc::c_void,
                    last - first,
                    libc::MADV_HUGEPAGE,
                )
            };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = block;
}
