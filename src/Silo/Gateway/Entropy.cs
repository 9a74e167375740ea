using System.Globalization;

namespace Krewe.Silo.Gateway;

/// <summary>The one source of randomness of this silo: request ids, and seeds of requests that bring none.</summary>
/// <param name="draw">64 random bits a call, from any thread.</param>
internal sealed class Entropy(Func<ulong> draw)
{
    public long NextSeed() => unchecked((long)draw());

    /// <summary>32 hexadecimal digits.</summary>
    public string NextId() => string.Create(CultureInfo.InvariantCulture, $"{draw():x16}{draw():x16}");
}
