using System.Runtime.Intrinsics;
using Krewe.Abstractions;

namespace Krewe.Kernels.Tests.Formats;

public sealed unsafe class KvNumberTests
{
    [Fact]
    public void Brain_floats_round_to_the_nearest_and_ties_to_even()
    {
        var random = new Random(5);
        for (var i = 0; i < 100_000; i++)
        {
            var value = BitConverter.UInt32BitsToSingle((uint)random.NextInt64(1L << 32));
            if (float.IsNaN(value)) continue;
            var bits = BitConverter.SingleToUInt32Bits(value);
            var (down, rest) = (bits >> 16, bits & 0xffff);
            var up = rest > 0x8000 || (rest == 0x8000 && (down & 1) == 1);
            Assert.Equal((ushort)(down + (up ? 1u : 0u)), KvNumber.ToBrain(value));
        }
    }

    [Fact]
    public void A_NaN_stays_a_NaN_in_every_format()
    {
        var everyNaN = new[] { float.NaN, -float.NaN, BitConverter.UInt32BitsToSingle(0x7f80_0001) };
        var plane = stackalloc byte[16];
        foreach (var value in everyNaN)
        {
            foreach (var format in Enum.GetValues<KvFormat>())
            {
                var geometry = new KvGeometry(1, 1, 2, 1, format);
                KvPlane.Write(plane, geometry, isValue: true, 0, 0, [1, value]);
                Assert.True(float.IsNaN(KvPlane.Read(plane, geometry, isValue: true, 0, 0, 1)), $"{format}");
            }
        }
    }

    [Fact]
    public void Overflow_becomes_infinity()
    {
        var buffer = stackalloc byte[4];
        KvNumber.Write(buffer, 0, 70_000, KvFormat.F16);
        Assert.Equal(float.PositiveInfinity, KvNumber.Read(buffer, 0, KvFormat.F16));
        KvNumber.Write(buffer, 0, -float.MaxValue, KvFormat.BF16);
        Assert.Equal(float.NegativeInfinity, KvNumber.Read(buffer, 0, KvFormat.BF16));
    }

    [Fact]
    public void Vectors_widen_every_half_and_every_brain_float_exactly()
    {
        Widen<Lanes512, Vector512<float>>();
        Widen<Lanes256, Vector256<float>>();
        Widen<Lanes128, Vector128<float>>();
    }

    [Fact]
    public void Vectors_round_like_the_scalar_writer()
    {
        Round<Lanes512, Vector512<float>>();
        Round<Lanes256, Vector256<float>>();
        Round<Lanes128, Vector128<float>>();
    }

    private static void Round<TOps, TV>()
        where TOps : ILanes<TV>
        where TV : struct
    {
        var random = new Random(6);
        var values = stackalloc float[TOps.Count];
        var rounded = stackalloc ushort[TOps.Count];
        var expected = stackalloc ushort[TOps.Count];
        for (var i = 0; i < 20_000; i++)
        {
            // All bit patterns alike, and every second time exponents around a half's own range.
            for (var lane = 0; lane < TOps.Count; lane++)
            {
                var bits = (uint)random.NextInt64(1L << 32);
                values[lane] = i % 2 == 0
                    ? BitConverter.UInt32BitsToSingle(bits)
                    : BitConverter.UInt32BitsToSingle((bits & 0x807f_ffff) | ((uint)random.Next(100, 145) << 23));
            }

            TOps.StoreBrain(TOps.Load(values), rounded);
            CompareRounded(values, rounded, expected, TOps.Count, KvFormat.BF16);
            TOps.StoreHalf(TOps.Load(values), rounded);
            CompareRounded(values, rounded, expected, TOps.Count, KvFormat.F16);
        }
    }

    private static void CompareRounded(float* values, ushort* rounded, ushort* expected, int count, KvFormat format)
    {
        for (var lane = 0; lane < count; lane++)
        {
            KvNumber.Write((byte*)expected, lane, values[lane], format);
            if (float.IsNaN(values[lane]))
                Assert.True(float.IsNaN(KvNumber.Read((byte*)rounded, lane, format)));
            else
                Assert.Equal(expected[lane], rounded[lane]);
        }
    }

    private static void Widen<TOps, TV>()
        where TOps : ILanes<TV>
        where TV : struct
    {
        var numbers = stackalloc ushort[2 * TOps.Count];
        var pairs = (uint*)numbers;
        for (var start = 0; start < 0x1_0000; start += 2 * TOps.Count)
        {
            for (var i = 0; i < 2 * TOps.Count; i++)
                numbers[i] = (ushort)(start + i);
            Compare<TOps, TV>(TOps.LoadHalf(numbers), i => ReadHalf(numbers[i]));
            if ((start & 0x7c00) != 0x7c00)
            {
                Compare<TOps, TV>(TOps.LowHalf(pairs), i => ReadHalf(numbers[2 * i]));
                Compare<TOps, TV>(TOps.HighHalf(pairs), i => ReadHalf(numbers[(2 * i) + 1]));
            }

            Compare<TOps, TV>(TOps.LoadBrain(numbers), i => ReadBrain(numbers[i]));
            Compare<TOps, TV>(TOps.LowBrain(pairs), i => ReadBrain(numbers[2 * i]));
            Compare<TOps, TV>(TOps.HighBrain(pairs), i => ReadBrain(numbers[(2 * i) + 1]));
        }

        static float ReadHalf(ushort bits) => KvNumber.Read((byte*)&bits, 0, KvFormat.F16);
        static float ReadBrain(ushort bits) => KvNumber.Read((byte*)&bits, 0, KvFormat.BF16);
    }

    private static void Compare<TOps, TV>(TV actual, Func<int, float> expected)
        where TOps : ILanes<TV>
        where TV : struct
    {
        var values = stackalloc float[TOps.Count];
        TOps.Store(actual, values);
        for (var lane = 0; lane < TOps.Count; lane++)
        {
            var want = expected(lane);
            if (float.IsNaN(want))
                Assert.True(float.IsNaN(values[lane]));
            else
                Assert.Equal(BitConverter.SingleToUInt32Bits(want), BitConverter.SingleToUInt32Bits(values[lane]));
        }
    }
}
