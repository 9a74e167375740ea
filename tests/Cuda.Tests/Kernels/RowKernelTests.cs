using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Reference;
using Krewe.Kernels.Tests;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>Kernels that work on rows alone, on the emulated GPU, against the reference.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class RowKernelTests : IDisposable
{
    private readonly Gpu _gpu = new();
    private readonly Random _random = new(11);

    public void Dispose() => _gpu.Dispose();

    [EmulatedTheory]
    [InlineData(KvFormat.BF16, 64)]
    [InlineData(KvFormat.F16, 32)]
    public void Embedding_copies_the_rows_of_the_tokens(KvFormat format, int headDim)
    {
        var (rows, hidden, stride, vocabulary) = (5, 300, 320, 11);
        var table = Elements.Random(_random, vocabulary * stride, format);
        // ~1 and ~0 stand for what was drawn: 8, and nothing, which must not read foreign memory.
        var (tokens, meant) = (new[] { 10, 0, ~1, ~0, 7 }, new[] { 10, 0, 8, 0, 7 });
        var residual = _gpu.Poisoned<float>(rows * stride);

        // Room for more rows than there are: those behind the count stay untouched.
        _gpu.Kernels(headDim, format).Embed(
            _gpu.Stream, _gpu.Upload(Elements.ToBits(table, format)), stride, vocabulary, _gpu.Upload(tokens),
            _gpu.Upload(-1, 8), _gpu.Upload(rows - 1), rows, residual, stride, hidden);

        var actual = _gpu.Download<float>(residual, rows * stride);
        for (var row = 0; row < rows - 1; row++)
        {
            Assert.True(Near.SameBits(
                table.AsSpan(meant[row] * stride, hidden), actual.AsSpan(row * stride, hidden)));
        }

        Assert.All(actual[((rows - 1) * stride)..], value => Assert.True(float.IsNaN(value)));
    }

    [EmulatedTheory]
    [InlineData(KvFormat.BF16, 64, 0)]
    [InlineData(KvFormat.BF16, 64, 1)]
    [InlineData(KvFormat.F16, 32, 9)]
    public void RmsNorm_adds_and_normalises(KvFormat format, int headDim, int order)
    {
        _gpu.Emulator.Set(order);
        foreach (var hidden in new[] { 1, 52, 256, 301 })
        {
            var (rows, stride, outputStride, chunks) = (3, hidden + 3, (hidden + 31) / 32 * 32, 2);
            var residual = RandomData.Floats(_random, 4 * stride, 3);
            var addend = RandomData.Floats(_random, chunks * 4 * hidden);
            var weight = RandomData.Floats(_random, hidden);
            var gather = new[] { 3, 0, 2 };
            var onDevice = _gpu.Upload(residual);
            var output = _gpu.Poisoned<ushort>(rows * outputStride);

            _gpu.Kernels(headDim, format).RmsNorm(
                _gpu.Stream, onDevice, stride, new Partials(_gpu.Upload(addend), 4L * hidden, hidden, chunks),
                _gpu.Upload(weight), hidden, 1e-5f, output, outputStride, _gpu.Upload(gather), _gpu.Upload(rows), rows);

            var actual = Elements.ToFloats(_gpu.Download<ushort>(output, rows * outputStride), format);
            var summed = _gpu.Download<float>(onDevice, 4 * stride);
            for (var row = 0; row < rows; row++)
            {
                var expected = new double[hidden];
                for (var i = 0; i < hidden; i++)
                {
                    var at = (gather[row] * hidden) + i;
                    expected[i] = residual[(gather[row] * stride) + i] + (addend[at] + addend[(4 * hidden) + at]);
                }

                // Sums of three F32 numbers: two roundings.
                Near.Equal(expected, summed.AsSpan(gather[row] * stride, hidden), 1e-6, 1e-6, "residual");
                ReferenceRmsNorm.Normalize(expected, weight, 1e-5, expected);
                // One rounding to the format; the F32 chain before it is 100 times finer.
                Near.Equal(
                    expected, actual.AsSpan(row * outputStride, hidden), 1e-6, Elements.Rounding(format), "norm");
                Assert.All(actual[((row * outputStride) + hidden)..((row + 1) * outputStride)],
                    value => Assert.Equal(0, value));
            }
        }
    }

    [EmulatedFact]
    public void SwiGlu_gates()
    {
        var (rows, width, stride) = (3, 75, 96);
        var product = RandomData.Floats(_random, 2 * rows * 2 * width, 6);
        var output = _gpu.Poisoned<ushort>(rows * stride);

        _gpu.Kernels().SwiGlu(
            _gpu.Stream, new Partials(_gpu.Upload(product), rows * 2 * width, 2 * width, 2), width, output, stride,
            _gpu.Upload(rows), rows);

        var actual = Elements.ToFloats(_gpu.Download<ushort>(output, rows * stride), KvFormat.BF16);
        for (var row = 0; row < rows; row++)
        {
            var (gate, up, expected) = (new double[width], new double[width], new double[width]);
            for (var i = 0; i < width; i++)
            {
                var at = (row * 2 * width) + i;
                gate[i] = product[at] + product[(rows * 2 * width) + at];
                up[i] = product[at + width] + product[(rows * 2 * width) + at + width];
            }

            ReferenceSwiGlu.Apply(gate, up, expected);
            Near.Equal(
                expected, actual.AsSpan(row * stride, width), 1e-5, Elements.Rounding(KvFormat.BF16), "swiglu");
            Assert.All(actual[((row * stride) + width)..((row + 1) * stride)], value => Assert.Equal(0, value));
        }
    }

    [EmulatedTheory]
    [InlineData(64, KvFormat.BF16, false, false, 16)]
    [InlineData(64, KvFormat.BF16, true, true, 48)]
    [InlineData(32, KvFormat.F16, true, true, 32)]
    [InlineData(64, KvFormat.Int8, true, true, 32)]
    public unsafe void Rope_positions_queries_and_keys_and_stores_what_belongs_into_blocks(
        int dim, KvFormat kvFormat, bool biased, bool normed, int blockTokens)
    {
        var format = kvFormat == KvFormat.Int8 ? KvFormat.BF16 : kvFormat;
        var (rows, heads, kvHeads, blocks) = (4, 6, 2, 5);
        var geometry = new KvGeometry(2, kvHeads, dim, blockTokens, kvFormat);
        var width = (heads + (2 * kvHeads)) * dim;
        var product = RandomData.Floats(_random, rows * width, 2);
        var bias = RandomData.Floats(_random, width);
        var (queryNorm, keyNorm) = (RandomData.Floats(_random, dim), RandomData.Floats(_random, dim));
        var positions = new[] { 0, 7, 1, 99 };
        // Slots of one block and of others, in no order.
        var slots = new[] { (3 * blockTokens) + 2, (3 * blockTokens) + 3, 0, (4 * blockTokens) + blockTokens - 1 };
        var rotary = RotaryFrequencies.Plain(dim, 10000);
        var angles = new RotaryAngles(rotary);
        var (cosine, sine) = (new float[100 * dim / 2], new float[100 * dim / 2]);
        fixed (float* c = cosine, s = sine)
        {
            for (var position = 0; position < 100; position++)
                angles.Fill(position, c + (position * dim / 2), s + (position * dim / 2));
        }

        var arena = _gpu.Poisoned<byte>(blocks * geometry.BlockBytes);
        var queries = _gpu.Poisoned<ushort>(rows * heads * dim);
        _gpu.Kernels(new KernelOptions(dim, format, kvFormat == KvFormat.Int8)).RopeKvWrite(
            _gpu.Stream, new Partials(_gpu.Upload(product), 0, width, 1), new AttentionHeads(heads, kvHeads, null),
            new GpuKvLayer(arena, geometry, 1), biased ? _gpu.Upload(bias) : 0, normed ? _gpu.Upload(queryNorm) : 0,
            normed ? _gpu.Upload(keyNorm) : 0, 1e-6f, _gpu.Upload(cosine), _gpu.Upload(sine), _gpu.Upload(positions),
            _gpu.Upload(slots), queries, heads * dim, _gpu.Upload(rows), rows);

        var rotated = Elements.ToFloats(_gpu.Download<ushort>(queries, rows * heads * dim), format);
        var bytes = _gpu.Download<byte>(arena, blocks * geometry.BlockBytes);
        var expectedArena = new byte[bytes.Length];
        expectedArena.AsSpan().Fill(0xff);
        for (var row = 0; row < rows; row++)
        {
            var all = new double[width];
            for (var i = 0; i < width; i++) all[i] = product[(row * width) + i] + (biased ? bias[i] : 0);
            for (var head = 0; head < heads + kvHeads; head++)
            {
                var span = all.AsSpan(head * dim, dim);
                if (normed) ReferenceRmsNorm.Normalize(span, head < heads ? queryNorm : keyNorm, 1e-6, span);
                ReferenceRope.Rotate(span, positions[row], rotary);
            }

            Near.Equal(
                all.AsSpan(0, heads * dim), rotated.AsSpan(row * heads * dim, heads * dim), 1e-5,
                Elements.Rounding(format), "queries");
            var (block, slot) = Math.DivRem(slots[row], blockTokens);
            fixed (float* keys = Array.ConvertAll(all[(heads * dim)..((heads + kvHeads) * dim)], x => (float)x))
            fixed (float* values = Array.ConvertAll(all[((heads + kvHeads) * dim)..], x => (float)x))
            fixed (byte* target = expectedArena)
                ReferenceKvWriter.Write(target + (block * geometry.BlockBytes), geometry, 1, slot, keys, values);
        }

        if (kvFormat == KvFormat.Int8) CompareInt8(expectedArena, bytes, geometry, slots);
        else CompareArenas(expectedArena, bytes, format);
    }

    /// <summary>Codes may differ by one where the reference is at the edge between two; the rest is still poison.
    /// </summary>
    private static unsafe void CompareInt8(byte[] expected, byte[] actual, KvGeometry geometry, int[] slots)
    {
        var written = new byte[actual.Length];
        written.AsSpan().Fill(0xff);
        fixed (byte* want = expected, got = actual, mask = written)
        {
            foreach (var place in slots)
            {
                var (block, slot) = Math.DivRem(place, geometry.BlockTokens);
                for (var i = 0; i < 2 * geometry.KvHeads; i++)
                {
                    var (isValue, head) = (i % 2 == 1, i / 2);
                    var plane = (block * geometry.BlockBytes) + geometry.LayerBytes
                        + (isValue ? geometry.PlaneBytes : 0);
                    var expectedVector = new float[geometry.HeadDim];
                    for (var dim = 0; dim < expectedVector.Length; dim++)
                        expectedVector[dim] = KvPlane.Read(want + plane, geometry, isValue, head, slot, dim);
                    var step = expectedVector.Max(MathF.Abs) / Int8Row.Largest;
                    var apart = 0;
                    for (var dim = 0; dim < expectedVector.Length; dim++)
                    {
                        var off = KvPlane.Read(got + plane, geometry, isValue, head, slot, dim) - expectedVector[dim];
                        Assert.InRange(Math.Abs(off), 0, 1.01 * step);
                        apart += Math.Abs(off) > step / 2 ? 1 : 0;
                    }

                    Assert.InRange(apart, 0, 2);
                    // Codes and a scale of zero.
                    KvPlane.Write(
                        mask + plane, geometry, isValue, head, slot, new float[geometry.HeadDim]);
                }
            }
        }

        for (var i = 0; i < actual.Length; i++) Assert.True(written[i] == 0 || actual[i] == 0xff);
    }

    /// <summary>Every number but those that were written is still poison.</summary>
    private static void CompareArenas(byte[] expected, byte[] actual, KvFormat format)
    {
        for (var i = 0; i < expected.Length; i += 2)
        {
            var (want, got) = (BitConverter.ToUInt16(expected, i), BitConverter.ToUInt16(actual, i));
            if (want == 0xffff) Assert.Equal(want, got);
            else
            {
                var value = Elements.ToFloat(want, format);
                Assert.InRange(
                    Elements.ToFloat(got, format) - value, -1e-5 - (Math.Abs(value) * Elements.Rounding(format)),
                    1e-5 + (Math.Abs(value) * Elements.Rounding(format)));
            }
        }
    }
}
