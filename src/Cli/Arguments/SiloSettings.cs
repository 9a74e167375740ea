using System.CommandLine;
using Krewe.Abstractions;
using Krewe.Control.Routing;

namespace Krewe.Cli;

/// <summary>The options of <see cref="SiloOptions"/>, for <c>silo</c> and <c>serve</c>.</summary>
internal sealed class SiloSettings(int usualLinkPort)
{
    private readonly UsualOption<int> _port = Setting.Count(
        "--port", "Port of the OpenAI API; 0 takes a free one.", SiloOptions.DefaultHttpPort, 0, 65535);

    private readonly UsualOption<int> _linkPort = Setting.Count(
        "--link-port", "Port where workers connect; 0 takes a free one.", usualLinkPort, 0, 65535);

    private readonly Option<string?> _host = Setting.Text(
        "--host", "IP", "Address to listen on. Default 127.0.0.1: this machine only.");

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<string?> _servedName = Setting.Text(
        "--served-model-name", "NAME", "What clients call the model. Default: the folder's name.");

    private readonly UsualOption<ReasoningParser> _reasoning = Setting.Choice(
        "--reasoning-parser",
        "How thoughts are told from answers, as reasoning_content; auto: by the model's chat template.",
        ReasoningParser.Auto);

    private readonly Option<string?> _data = Setting.Text(
        "--data", "DIR", "Folder for requests' records. Default: in memory only.");

    private readonly Option<string?> _id = Setting.Text("--silo-id", "NAME", "Name in logs. Default silo-0.");

    private readonly UsualOption<TimeSpan> _drain = Setting.Seconds(
        "--drain", "How long running requests may go on after Ctrl-C or SIGTERM.", TimeSpan.FromSeconds(25));

    private readonly UsualOption<TimeSpan> _recordKeep = Setting.Seconds(
        "--record-keep", "How long an ended request's grain stays in memory; its record is in storage.",
        TimeSpan.FromSeconds(5));

    private readonly UsualOption<TimeSpan> _resumeWindow = Setting.Seconds(
        "--resume-window", "How long a resumable request runs without a client, and its answer is kept.",
        TimeSpan.FromMinutes(1));

    private readonly UsualOption<TimeSpan> _streamKeepAlive = Setting.SecondsOrZero(
        "--stream-keep-alive", "A stream that is silent for this long gets a comment, so that no proxy cuts it; 0: "
            + "none does.", TimeSpan.FromSeconds(15));

    private readonly Option<string?> _apiKeys = Setting.Text(
        "--api-keys", "PATH", "File of API keys, or a folder of them; read again when changed. Default: no keys.");

    private readonly Option<string?> _auditLog = Setting.Text(
        "--audit-log", "FILE", "Where operators' actions are put down. Default: audit.jsonl in --data.");

    private readonly Option<string?> _tlsCertificate = Setting.Text(
        "--tls-cert", "FILE", "PEM certificate of the API; read again when changed. Default: plain HTTP.");

    private readonly Option<string?> _tlsKey = Setting.Text("--tls-key", "FILE", "Its key.");

    private readonly Option<string[]> _corsOrigins = new("--cors-origin")
    {
        Description = "Web site whose pages may call the API; may be given more than once. Default: none.",
        HelpName = "URL",
    };

    private readonly Option<string?> _record = Setting.Text(
        "--record", "FILE", "Write a trace of the requests there, without prompts, for simulate and replay.");

    private readonly Option<bool> _batchArrivalOrder = new("--batch-arrival-order") { Hidden = true };

    private readonly LinkTlsSettings _linkTls = new();

    private readonly Option<string?> _policy = Setting.OneOf(
        "--policy", "NAME",
        $"How workers are chosen. Default {RoutingPolicies.Default}; {string.Join(", ", RoutingPolicies.Names)}.",
        RoutingPolicies.Names);

    private readonly Option<TimeSpan?> _ttftSlo = Setting.OptionalSeconds(
        "--slo-ttft", "Time to first token to aim at; what would be later is refused. Default: none.");

    private readonly Option<TimeSpan?> _tpotSlo = Setting.OptionalSeconds(
        "--slo-tpot", "Mean time of each further token to aim at. Default: none.");

    private readonly Option<bool> _switchRoles = new("--switch-roles")
    {
        Description = "Let a worker change between prefill and decode when one phase is late and the other has one to "
            + "spare. Default: it is only advised.",
    };

    private readonly ClusterSettings _cluster = new();
    private readonly RedisSettings _redis = new();
    private readonly ScaleSettings _scale = new();

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_port, _linkPort, _host, _model, _servedName, _reasoning, _data, _id, _drain,
            _recordKeep, _resumeWindow, _streamKeepAlive, _policy, _ttftSlo, _tpotSlo, _switchRoles,
            _apiKeys, _auditLog, _tlsCertificate, _tlsKey, _corsOrigins, _record, _batchArrivalOrder])
            command.Add(option);
        _linkTls.AddTo(command);
        _cluster.AddTo(command);
        _redis.AddTo(command);
        _scale.AddTo(command);
    }

    public SiloOptions Read(ParseResult result) => _redis.Read(result, new SiloOptions
    {
        SiloId = result.GetValue(_id) ?? "silo-0",
        BindHost = result.GetValue(_host) ?? "127.0.0.1",
        HttpPort = _port.Read(result),
        LinkPort = _linkPort.Read(result),
        ModelDirectory = result.GetValue(_model) ?? BundledModel.Find(),
        ServedModelName = result.GetValue(_servedName),
        ReasoningParser = _reasoning.Read(result),
        DataDirectory = result.GetValue(_data),
        RecordKeep = _recordKeep.Read(result),
        ResumeWindow = _resumeWindow.Read(result),
        StreamKeepAlive = _streamKeepAlive.Read(result),
        DrainGrace = _drain.Read(result),
        ApiKeys = result.GetValue(_apiKeys),
        AuditLog = result.GetValue(_auditLog),
        TlsCertificate = result.GetValue(_tlsCertificate),
        TlsKey = result.GetValue(_tlsKey),
        CorsOrigins = result.GetValue(_corsOrigins) ?? [],
        RecordFile = result.GetValue(_record),
        BatchArrivalOrder = result.GetValue(_batchArrivalOrder),
        LinkTls = _linkTls.Read(result),
        RoutingPolicy = result.GetValue(_policy),
        TtftSlo = result.GetValue(_ttftSlo),
        TpotSlo = result.GetValue(_tpotSlo),
        Scale = _scale.Read(result),
        SwitchRoles = result.GetValue(_switchRoles),
        Cluster = _cluster.Read(result),
    });
}
