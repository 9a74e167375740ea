using System.Text;

namespace Krewe.Models;

/// <summary>
/// Makes each rule of a grammar a deterministic automaton over bytes and calls of rules. Symbols below
/// <see cref="Bytes"/> are bytes, the others calls.
/// </summary>
/// <param name="grammar">Gets further rules while it is compiled: parts that stand in many places.</param>
/// <param name="available">Bytes that the model can write one by one; others are no part of any text.</param>
/// <param name="budget">For all rules together.</param>
internal sealed class RuleCompiler(Grammar grammar, ByteSet available, ConstraintBudget budget)
{
    /// <summary>Number of byte symbols.</summary>
    public const int Bytes = 256;

    /// <summary>A repeated body of more parts becomes a rule of its own instead of being copied.</summary>
    private const int CopiedPartsMax = 6;

    /// <summary>More byte sequences than this become a rule of their own.</summary>
    private const int InlineSequencesMax = 2;

    private readonly Dictionary<Expr, Expr> _repeated = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<Expr, CharEdges> _prepared = new(ReferenceEqualityComparer.Instance);
    private Nfa _nfa = new(budget);

    /// <summary>The rule, and every rule that it calls was declared.</summary>
    public Dfa Compile(int rule)
    {
        _nfa = new Nfa(budget);
        var start = _nfa.AddState();
        return _nfa.Determinize(start, Build(grammar.BodyOf(rule), start));
    }

    /// <summary>Adds what leads from a state over the expression; returns the state behind it.</summary>
    private int Build(Expr expr, int from)
    {
        switch (expr)
        {
            case Expr.Literal literal: return BuildBytes(Encoding.UTF8.GetBytes(literal.Value), from);
            case Expr.Chars chars: return BuildChars(chars, from);
            case Expr.Wide wide:
                var to = _nfa.AddState();
                foreach (var sequence in Utf8Ranges.Split(wide.Set)) AddSequence(sequence, from, to);
                return to;
            case Expr.Sequence parts: return parts.Parts.Aggregate(from, (at, part) => Build(part, at));
            case Expr.Choice choice:
                var end = _nfa.AddState();
                foreach (var option in choice.Options) _nfa.AddEmpty(Build(option, Branch(from)), end);
                return end;
            case Expr.Repeat repeat: return BuildRepeat(repeat, from);
            case Expr.Call call:
                var behind = _nfa.AddState();
                _nfa.Add(from, Bytes + call.Rule, Bytes + call.Rule, behind);
                return behind;
            case Expr.Graph graph: return BuildGraph(graph, from);
            default: throw new InvalidOperationException($"{expr.GetType().Name} is no part of a rule.");
        }
    }

    private int Branch(int from)
    {
        var branch = _nfa.AddState();
        _nfa.AddEmpty(from, branch);
        return branch;
    }

    private int BuildBytes(ReadOnlySpan<byte> bytes, int from)
    {
        foreach (var value in bytes)
        {
            var next = _nfa.AddState();
            AddBytes(from, value, value, next);
            from = next;
        }

        return from;
    }

    private void AddBytes(int from, int first, int last, int to)
    {
        for (var value = first; value <= last; value++)
        {
            if (!available.Contains((byte)value)) continue;
            var begin = value;
            while (value < last && available.Contains((byte)(value + 1))) value++;
            _nfa.Add(from, begin, value, to);
        }
    }

    private int BuildGraph(Expr.Graph graph, int from)
    {
        var nodes = new int[graph.Nodes];
        for (var i = 0; i < nodes.Length; i++) nodes[i] = i == 0 ? Branch(from) : _nfa.AddState();
        foreach (var step in graph.Steps)
        {
            // Built to the very node, so that characters cost no state in between.
            if (step.By is Expr.Chars chars) BuildChars(chars, nodes[step.From], nodes[step.To]);
            else if (step.By is null) _nfa.AddEmpty(nodes[step.From], nodes[step.To]);
            else _nfa.AddEmpty(Build(step.By, nodes[step.From]), nodes[step.To]);
        }

        return nodes[^1];
    }

    private int BuildRepeat(Expr.Repeat repeat, int from)
    {
        var body = (repeat.Max ?? repeat.Min) > 1 && SizeOf(repeat.Body) > CopiedPartsMax
            ? AsRule(repeat.Body)
            : repeat.Body;
        if (repeat.Max < repeat.Min) return _nfa.AddState();
        for (var i = 0; i < repeat.Min; i++) from = Build(body, Branch(from));
        if (repeat.Max is null)
        {
            var loop = Branch(from);
            _nfa.AddEmpty(Build(body, Branch(loop)), loop);
            return Branch(loop);
        }

        var end = _nfa.AddState();
        _nfa.AddEmpty(from, end);
        for (var i = repeat.Min; i < repeat.Max; i++)
        {
            from = Build(body, Branch(from));
            _nfa.AddEmpty(from, end);
        }

        return end;
    }

    private Expr AsRule(Expr body)
    {
        if (_repeated.TryGetValue(body, out var known)) return known;
        var call = grammar.Add("a repeated part", body);
        _repeated.Add(body, call);
        return call;
    }

    /// <summary>Parts, counted until it is clear that they are many.</summary>
    private static int SizeOf(Expr expr) => expr switch
    {
        Expr.Literal literal => literal.Value.Length,
        Expr.Sequence sequence => Sum(sequence.Parts),
        Expr.Choice choice => Sum(choice.Options) + 1,
        Expr.Repeat repeat => (SizeOf(repeat.Body) * Math.Max(1, Math.Min(repeat.Max ?? repeat.Min, 100))) + 1,
        Expr.Graph graph => graph.Steps.Length,
        _ => 1,
    };

    private static int Sum(IEnumerable<Expr> parts) =>
        parts.Aggregate(0, (sum, part) => sum > CopiedPartsMax ? sum : sum + SizeOf(part));

    private int BuildChars(Expr.Chars chars, int from)
    {
        var to = _nfa.AddState();
        BuildChars(chars, from, to);
        return to;
    }

    private void BuildChars(Expr.Chars chars, int from, int to)
    {
        if (!_prepared.TryGetValue(chars, out var edges)) _prepared.Add(chars, edges = Prepare(chars));
        foreach (var (first, last) in edges.Bytes) AddBytes(from, first, last, to);
        foreach (var sequence in edges.Sequences) AddSequence(sequence, from, to);
        foreach (var rule in edges.Rules) _nfa.Add(from, Bytes + rule, Bytes + rule, to);
    }

    /// <summary>The edges of a set: ASCII as bytes, few other characters where they stand, and many, and escapes, by
    /// rules that all places share.</summary>
    private CharEdges Prepare(Expr.Chars chars)
    {
        var (plain, escaped) = chars.InJson
            ? (chars.Set.Except(JsonText.Escaped), chars.Set.Intersect(JsonText.Escaped))
            : (chars.Set, CodePointSet.Empty);
        List<int> rules = [];
        var wide = plain.Except(CodePointSet.Ascii);
        var sequences = Utf8Ranges.Split(wide).ToArray();
        if (sequences.Length > InlineSequencesMax)
        {
            rules.Add(RuleOf(grammar.Share($"characters {wide.Key}", () => new Expr.Wide(wide))));
            sequences = [];
        }

        if (!escaped.IsEmpty)
        {
            var isAny = chars.Set.Ranges.SequenceEqual(CodePointSet.All.Ranges);
            rules.Add(RuleOf(JsonText.Escape(grammar, escaped, isAny)));
        }

        return new CharEdges(plain.Intersect(CodePointSet.Ascii).Ranges.ToArray(), sequences, rules);
    }

    private static int RuleOf(Expr call) => ((Expr.Call)call).Rule;

    private void AddSequence((byte First, byte Last)[] sequence, int from, int to)
    {
        for (var i = 0; i < sequence.Length; i++)
        {
            var next = i == sequence.Length - 1 ? to : _nfa.AddState();
            AddBytes(from, sequence[i].First, sequence[i].Last, next);
            from = next;
        }
    }

    /// <param name="Bytes">Ranges of single bytes.</param>
    /// <param name="Sequences">Characters of several bytes.</param>
    /// <param name="Rules">Rules that match one character each.</param>
    private sealed record CharEdges(
        (int First, int Last)[] Bytes, (byte First, byte Last)[][] Sequences, List<int> Rules);
}
