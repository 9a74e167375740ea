namespace Krewe.Models;

/// <summary>
/// A grammar as tables: deterministic automata over bytes, one a rule, that call each other. Immutable. Invariant: from
/// every state that can be reached an end can be reached, and <see cref="DistanceOf"/> says in how many bytes.
/// </summary>
internal sealed class ByteAutomaton
{
    /// <summary>No way to an end.</summary>
    public const int Never = int.MaxValue / 4;

    private const int NoState = -1;

    private readonly byte[] _classes = new byte[RuleCompiler.Bytes];
    private readonly int _classCount;
    private readonly int[] _next;
    private readonly CallEdge[][] _calls;
    private readonly bool[] _accepts;
    private readonly int[] _distances;

    private ByteAutomaton(int start, List<DfaState> states, Dictionary<int, int> startOfRule)
    {
        (Start, StateCount) = (start, states.Count);
        _accepts = [.. states.Select(state => state.Accepts)];
        _classCount = FillClasses(states);
        _distances = Distances.Compute(states, startOfRule);
        _next = new int[states.Count * _classCount];
        _next.AsSpan().Fill(NoState);
        _calls = new CallEdge[states.Count][];
        HasBytes = new bool[states.Count];
        for (var state = 0; state < states.Count; state++) FillState(state, states[state], startOfRule);
    }

    public int Start { get; }

    public int StateCount { get; }

    /// <summary>Bytes of equal effect everywhere share a class; a space has its own.</summary>
    public int ClassCount => _classCount;

    /// <summary>Whether a state has a byte to follow it.</summary>
    public bool[] HasBytes { get; }

    /// <summary>Compiles what a grammar's rule 0 reaches.</summary>
    /// <exception cref="ConstraintException">It is too large or ambiguous, calls itself before any text, or no text
    /// satisfies it.</exception>
    public static ByteAutomaton Compile(Grammar grammar, ByteSet available, ConstraintBudget budget)
    {
        var compiler = new RuleCompiler(grammar, available, budget);
        var states = new List<DfaState>();
        var startOfRule = new Dictionary<int, int>();
        var open = new Queue<int>([0]);
        var known = new HashSet<int> { 0 };
        while (open.TryDequeue(out var rule))
        {
            var dfa = compiler.Compile(rule);
            var offset = states.Count;
            startOfRule.Add(rule, offset);
            foreach (var state in dfa.States)
            {
                budget.TakeState();
                states.Add(new DfaState(
                    state.Accepts, [.. state.Edges.Select(edge => edge with { Target = edge.Target + offset })]));
                foreach (var edge in state.Edges.Where(edge => edge.First >= RuleCompiler.Bytes))
                {
                    for (var called = edge.First; called <= edge.Last; called++)
                    {
                        if (known.Add(called - RuleCompiler.Bytes)) open.Enqueue(called - RuleCompiler.Bytes);
                    }
                }
            }
        }

        var automaton = new ByteAutomaton(startOfRule[0], states, startOfRule);
        if (automaton.DistanceOf(automaton.Start) >= Never)
            throw new ConstraintException("no text that this model can write satisfies it");
        LeftRecursion.Refuse(automaton, grammar, startOfRule);
        return automaton;
    }

    public byte ClassOf(byte value) => _classes[value];

    /// <summary>The state behind a byte of the class; negative = there is none.</summary>
    public int Next(int state, int byteClass) => _next[(state * _classCount) + byteClass];

    public ReadOnlySpan<CallEdge> Calls(int state) => _calls[state];

    public bool Accepts(int state) => _accepts[state];

    /// <summary>A rule may end here, and nothing else may happen.</summary>
    public bool IsFinal(int state) => _accepts[state] && !HasBytes[state] && _calls[state].Length == 0;

    /// <summary>Fewest bytes from here to the end of the state's rule.</summary>
    public int DistanceOf(int state) => _distances[state];

    /// <summary>Numbers bytes so that those that no edge tells apart share a number.</summary>
    private int FillClasses(List<DfaState> states)
    {
        var cuts = new bool[RuleCompiler.Bytes + 1];
        (cuts[' '], cuts[' ' + 1]) = (true, true);
        foreach (var edge in states.SelectMany(state => state.Edges))
        {
            if (edge.First >= RuleCompiler.Bytes) continue;
            (cuts[edge.First], cuts[edge.Last + 1]) = (true, true);
        }

        var number = 0;
        for (var value = 0; value < RuleCompiler.Bytes; value++)
        {
            if (value > 0 && cuts[value]) number++;
            _classes[value] = (byte)number;
        }

        return number + 1;
    }

    private void FillState(int state, DfaState from, Dictionary<int, int> startOfRule)
    {
        var calls = new List<CallEdge>();
        foreach (var edge in from.Edges)
        {
            if (_distances[edge.Target] >= Never) continue;
            if (edge.First >= RuleCompiler.Bytes)
            {
                for (var rule = edge.First - RuleCompiler.Bytes; rule <= edge.Last - RuleCompiler.Bytes; rule++)
                {
                    if (_distances[startOfRule[rule]] < Never)
                        calls.Add(new CallEdge(startOfRule[rule], edge.Target));
                }

                continue;
            }

            // No interval holds bytes and calls: UTF-8 has no byte 255.
            for (var value = edge.First; value <= edge.Last; value++)
                _next[(state * _classCount) + _classes[value]] = edge.Target;
            HasBytes[state] = true;
        }

        _calls[state] = [.. calls];
    }

    /// <summary>A call of the rule that starts at Rule; Return comes behind it.</summary>
    internal readonly record struct CallEdge(int Rule, int Return);
}
