namespace Krewe.Models;

/// <summary>
/// A constraint on a vocabulary, ready to be matched against any number of outputs. What they meet is kept for the
/// next ones. One thread at a time.
/// </summary>
public sealed class CompiledConstraint
{
    /// <summary>Beyond it what was met is forgotten.</summary>
    private const long BytesMax = 32L << 20;

    private readonly ByteAutomaton _automaton;
    private readonly TokenVocabulary _vocabulary;
    private readonly int _strippedSpaces;
    private readonly MaskWalk _walk;
    private LazyAutomaton _running;

    /// <exception cref="ConstraintException">It is not understood, too large, or nothing satisfies it.</exception>
    internal CompiledConstraint(ConstraintSpec spec, TokenVocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _automaton = ConstraintCompiler.Compile(spec, vocabulary.Trie.Single);
        _strippedSpaces = spec.ContinuesText ? 0 : vocabulary.StrippedSpaces;
        _walk = new MaskWalk(vocabulary);
        _running = new LazyAutomaton(_automaton, _strippedSpaces);
        MaskOf(_running, _running.Start);
    }

    /// <summary>Compiles; the mask of the first token is made at once.</summary>
    /// <exception cref="ConstraintException">It is not understood, too large, or nothing satisfies it.</exception>
    public static CompiledConstraint Compile(ConstraintSpec spec, TokenVocabulary vocabulary) => new(spec, vocabulary);

    /// <summary>States of the automaton.</summary>
    public int StateCount => _automaton.StateCount;

    /// <summary>About how many bytes it takes.</summary>
    public long Bytes => (4L * _automaton.StateCount * _automaton.ClassCount) + _running.Bytes;

    internal TokenVocabulary Vocabulary => _vocabulary;

    internal MaskWalk Walk => _walk;

    /// <summary>Where an output that begins now runs.</summary>
    internal LazyAutomaton Current()
    {
        if (_running.Bytes > BytesMax) _running = new LazyAutomaton(_automaton, _strippedSpaces);
        return _running;
    }

    internal TokenMask MaskOf(LazyAutomaton running, Configuration configuration)
    {
        if (configuration.Mask is { } known) return known;
        var bits = new ulong[MaskWalk.WordsFor(_vocabulary.Size)];
        var farthest = _walk.Fill(running, configuration, int.MaxValue, bits);
        running.MaskBytes += 8L * bits.Length;
        return configuration.Mask = new TokenMask(bits, farthest);
    }
}
