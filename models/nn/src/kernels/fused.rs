//! Glue between slices of floats and differentiable operations.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Shape, Storage, Tensor,
};

type CandleResult<T> = candle_core::Result<T>;

/// Whether the fused kernels take these tensors: f32 on a CPU.
pub(crate) fn fusible(tensors: &[&Tensor]) -> bool {
    tensors
        .iter()
        .all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::F32)
}

/// The floats of a contiguous operand.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> CandleResult<&'a [f32]> {
    let data = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => candle_core::bail!("a fused kernel got a strided operand"),
    }
}

/// Runs `f` on the floats of a CPU tensor, made contiguous first if it is strided.
pub(crate) fn with_floats<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> CandleResult<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(slice(storage, layout)?)),
        _ => candle_core::bail!("a fused kernel got a tensor of another device"),
    }
}

/// An operation on one tensor, from a forward on floats and a backward `(x, y, dy) → dx`.
pub(crate) struct Fused1<F, B> {
    pub name: &'static str,
    pub forward: F,
    pub backward: B,
}

impl<F, B> CustomOp1 for Fused1<F, B>
where
    F: Fn(&[f32], &Shape) -> (Vec<f32>, Shape),
    B: Fn(&Tensor, &Tensor, &Tensor) -> CandleResult<Tensor>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let (y, shape) = (self.forward)(slice(s, l)?, l.shape());
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> CandleResult<Option<Tensor>> {
        Ok(Some((self.backward)(x, y, dy)?))
    }
}

/// An operation on two tensors; the backward gets `(a, b, y, dy)`.
pub(crate) struct Fused2<F, B> {
    pub name: &'static str,
    pub forward: F,
    pub backward: B,
}

impl<F, B> CustomOp2 for Fused2<F, B>
where
    F: Fn(&[f32], &[f32]) -> (Vec<f32>, Shape),
    B: Fn(&Tensor, &Tensor, &Tensor, &Tensor) -> CandleResult<(Option<Tensor>, Option<Tensor>)>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        let (y, shape) = (self.forward)(slice(s1, l1)?, slice(s2, l2)?);
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>)> {
        (self.backward)(a, b, y, dy)
    }
}

/// What a backward of three tensors returns.
pub(crate) type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// An operation on three tensors; the backward gets `(a, b, c, y, dy)`.
pub(crate) struct Fused3<F, B> {
    pub name: &'static str,
    pub forward: F,
    pub backward: B,
}

impl<F, B> CustomOp3 for Fused3<F, B>
where
    F: Fn(&[f32], &[f32], &[f32]) -> (Vec<f32>, Shape),
    B: Fn(&Tensor, &Tensor, &Tensor, &Tensor, &Tensor) -> CandleResult<Gradients3>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        let (y, shape) = (self.forward)(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<Gradients3> {
        (self.backward)(a, b, c, y, dy)
    }
}
