namespace Krewe.Models;

/// <summary>Which tokens may come next.</summary>
/// <param name="Bits">One bit a token of the vocabulary, lowest first.</param>
/// <param name="FarthestEnd">The most bytes that may be needed to an end behind one of them.</param>
internal sealed record TokenMask(ulong[] Bits, int FarthestEnd);
