namespace Krewe.Models;

/// <summary>
/// The tokens that add text, by their bytes: a tree in depth-first order, so that a walk is one loop over arrays.
/// </summary>
internal sealed class TokenTrie
{
    private const int None = -1;

    private readonly byte[] _bytes;
    private readonly int[] _depths;
    private readonly int[] _ends;
    private readonly int[] _firstTokens;
    private readonly int[] _nextTokens;

    /// <param name="tokenizer">Of the model.</param>
    /// <param name="isExcluded">Tokens that no text is made of.</param>
    public TokenTrie(Tokenizer tokenizer, Func<int, bool> isExcluded)
    {
        var tokens = Enumerable.Range(0, tokenizer.VocabularySize)
            .Where(token => !isExcluded(token) && !tokenizer.IsSpecial(token) && tokenizer.TokenBytes(token).Length > 0)
            .Select(token => (Token: token, Bytes: tokenizer.TokenBytes(token).ToArray())).ToArray();
        Array.Sort(tokens, (a, b) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes) is not 0 and var order
            ? order
            : a.Token.CompareTo(b.Token));
        _nextTokens = new int[tokenizer.VocabularySize];
        List<byte> bytes = [];
        List<int> depths = [], ends = [], firsts = [], path = [];
        var previous = Array.Empty<byte>();
        foreach (var (token, spelled) in tokens)
        {
            var common = previous.AsSpan().CommonPrefixLength(spelled);
            foreach (var closed in path[common..]) ends[closed] = bytes.Count;
            path.RemoveRange(common, path.Count - common);
            for (var depth = common; depth < spelled.Length; depth++)
            {
                path.Add(bytes.Count);
                bytes.Add(spelled[depth]);
                depths.Add(depth);
                ends.Add(0);
                firsts.Add(None);
            }

            _nextTokens[token] = firsts[path[^1]];
            firsts[path[^1]] = token;
            if (spelled.Length == 1) Single.Add(spelled[0]);
            DepthMax = Math.Max(DepthMax, spelled.Length);
            previous = spelled;
        }

        foreach (var closed in path) ends[closed] = bytes.Count;
        (_bytes, _depths, _ends, _firstTokens) = ([.. bytes], [.. depths], [.. ends], [.. firsts]);
    }

    /// <summary>Bytes that a token of their own writes.</summary>
    public ByteSet Single { get; } = new();

    /// <summary>Bytes of the longest token.</summary>
    public int DepthMax { get; }

    public int NodeCount => _bytes.Length;

    /// <summary>The node's byte.</summary>
    public byte ByteOf(int node) => _bytes[node];

    /// <summary>Bytes before it.</summary>
    public int DepthOf(int node) => _depths[node];

    /// <summary>The first node that is not below this one.</summary>
    public int EndOf(int node) => _ends[node];

    /// <summary>A token that ends here; negative = none does.</summary>
    public int FirstToken(int node) => _firstTokens[node];

    /// <summary>Another token of the same bytes; negative = there is none.</summary>
    public int NextToken(int token) => _nextTokens[token];
}
