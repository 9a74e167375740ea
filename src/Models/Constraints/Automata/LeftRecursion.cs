namespace Krewe.Models;

/// <summary>
/// A rule that can call itself before it has matched anything would call itself for ever. Such grammars are refused;
/// each can be written with a repetition instead.
/// </summary>
internal static class LeftRecursion
{
    public static void Refuse(ByteAutomaton automaton, Grammar grammar, Dictionary<int, int> startOfRule)
    {
        var ruleOfStart = startOfRule.ToDictionary(pair => pair.Value, pair => pair.Key);
        var callees = startOfRule.ToDictionary(
            pair => pair.Key,
            pair => FirstCalls(automaton, pair.Value).Select(start => ruleOfStart[start]).ToHashSet());

        // Rules that only call what is known to end are known to end; a rest calls itself.
        var callers = callees.Keys.ToDictionary(rule => rule, _ => new List<int>());
        foreach (var (rule, called) in callees)
        {
            foreach (var other in called) callers[other].Add(rule);
        }

        var open = callees.ToDictionary(pair => pair.Key, pair => pair.Value.Count);
        var ended = new Queue<int>(open.Where(pair => pair.Value == 0).Select(pair => pair.Key));
        while (ended.TryDequeue(out var rule))
        {
            open.Remove(rule);
            foreach (var caller in callers[rule])
            {
                if (--open[caller] == 0) ended.Enqueue(caller);
            }
        }

        if (open.Count == 0) return;
        var names = open.Keys.Order().Take(3).Select(rule => $"'{grammar.NameOf(rule)}'");
        throw new ConstraintException(
            $"the rules {string.Join(", ", names)} call themselves before they match anything. Put what they match "
            + "first, or write the repetition with * or +");
    }

    /// <summary>Starts of the rules that can be called before a rule has matched a byte.</summary>
    private static HashSet<int> FirstCalls(ByteAutomaton automaton, int start)
    {
        var calls = new HashSet<int>();
        var seen = new HashSet<int> { start };
        var open = new Stack<int>(seen);
        while (open.TryPop(out var state))
        {
            foreach (var call in automaton.Calls(state))
            {
                calls.Add(call.Rule);
                if (automaton.DistanceOf(call.Rule) == 0 && seen.Add(call.Return)) open.Push(call.Return);
            }
        }

        return calls;
    }
}
