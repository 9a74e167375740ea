namespace Krewe.Models;

/// <summary>
/// Finds the tokens that may follow a configuration: every token's bytes are tried, those that begin alike together.
/// The result is a function of the configuration and the vocabulary.
/// </summary>
internal sealed class MaskWalk(TokenVocabulary vocabulary)
{
    /// <summary>
    /// Different configurations that one walk may meet beyond those of single bytes. Ordinary grammars meet dozens; one
    /// that tells every token from every other is not followed farther.
    /// </summary>
    private const int ConfigurationsMax = 4096;

    private const int WordBits = 64;

    private readonly Configuration[] _path = new Configuration[vocabulary.Trie.DepthMax + 1];
    private int _walks;
    private int _met;

    /// <param name="automaton">Whose configuration it is.</param>
    /// <param name="from">What may follow this.</param>
    /// <param name="endsWithin">Only tokens behind which the output can end within so many bytes.</param>
    /// <param name="bits">Is filled. Tokens that end the output are set where it may end.</param>
    /// <returns>The farthest end behind a token that is set.</returns>
    public int Fill(LazyAutomaton automaton, Configuration from, int endsWithin, Span<ulong> bits)
    {
        bits.Clear();
        if (from.Accepts)
        {
            foreach (var token in vocabulary.EndTokens) Set(bits, token);
        }

        _walks++;
        _met = 0;
        var trie = vocabulary.Trie;
        var farthest = 0;

        // Single bytes first: with them alone every output can be written, whatever the walk below leaves out.
        for (var node = 0; node < trie.NodeCount; node = trie.EndOf(node))
            automaton.Step(from, trie.ByteOf(node)).Walk = _walks;
        _path[0] = from;
        for (var node = 0; node < trie.NodeCount;)
        {
            var depth = trie.DepthOf(node);
            var next = automaton.Step(_path[depth], trie.ByteOf(node));
            if (next == automaton.Dead || !IsFollowed(next))
            {
                node = trie.EndOf(node);
                continue;
            }

            _path[depth + 1] = next;
            var token = trie.FirstToken(node++);
            if (token < 0 || next.Distance > endsWithin) continue;
            farthest = Math.Max(farthest, next.Distance);
            for (; token >= 0; token = trie.NextToken(token)) Set(bits, token);
        }

        return farthest;
    }

    public static void Set(Span<ulong> bits, int token) => bits[token / WordBits] |= 1UL << (token % WordBits);

    public static void Clear(Span<ulong> bits, int token) => bits[token / WordBits] &= ~(1UL << (token % WordBits));

    public static int WordsFor(int tokens) => (tokens + WordBits - 1) / WordBits;

    private bool IsFollowed(Configuration configuration)
    {
        if (configuration.Walk == _walks) return true;
        if (_met == ConfigurationsMax) return false;
        _met++;
        configuration.Walk = _walks;
        return true;
    }
}
