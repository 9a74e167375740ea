namespace Krewe.Kernels;

/// <summary>
/// Philox4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): four random words as
/// a function of a counter and a key. No state, so any draw can be made again by anyone who knows its number.
/// </summary>
internal static class Philox
{
    private const int Rounds = 10;
    private const uint Multiplier0 = 0xD2511F53;
    private const uint Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9;
    private const uint Weyl1 = 0xBB67AE85;

    public static (uint W0, uint W1, uint W2, uint W3) Generate(
        (uint C0, uint C1, uint C2, uint C3) counter, (uint K0, uint K1) key)
    {
        var (c0, c1, c2, c3) = counter;
        var (k0, k1) = key;
        for (var round = 0; round < Rounds; round++)
        {
            var product0 = (ulong)Multiplier0 * c0;
            var product1 = (ulong)Multiplier1 * c2;
            (c0, c1, c2, c3) =
                ((uint)(product1 >> 32) ^ c1 ^ k0, (uint)product1, (uint)(product0 >> 32) ^ c3 ^ k1, (uint)product0);
            k0 += Weyl0;
            k1 += Weyl1;
        }

        return (c0, c1, c2, c3);
    }

    /// <summary>A number in [0, 1) with 53 random bits for one token of one stream.</summary>
    /// <param name="seed">The request's seed.</param>
    /// <param name="choice">Which of the request's streams.</param>
    /// <param name="position">The token's index in the stream's output.</param>
    public static double Uniform(long seed, int choice, int position)
    {
        var (high, low, _, _) = Generate(((uint)position, (uint)choice, 0, 0), ((uint)seed, (uint)((ulong)seed >> 32)));
        return ((((ulong)high << 32) | low) >> 11) * (1.0 / (1UL << 53));
    }
}
