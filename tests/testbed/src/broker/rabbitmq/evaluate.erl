%% Evaluates what arrives on standard input, one expression a line, in the node itself.
%% Costs nothing, where `rabbitmqctl eval` starts another virtual machine.
%% When its input ends, whoever started the node is gone, and the node goes too.
io:setopts(user, [binary, {encoding, latin1}]),
Answer = fun(Line) ->
    try
        {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Line)),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Expressions, []),
        Text = if is_binary(Value) -> Value; true -> io_lib:format("~0tp", [Value]) end,
        unicode:characters_to_binary([<<"=ok ">>, Text])
    catch
        Class:Reason:Stack ->
            Where = lists:sublist(Stack, 1),
            unicode:characters_to_binary(io_lib:format("=error ~0tp", [{Class, Reason, Where}]))
    end
end,
Loop = fun(Again) ->
    case io:get_line(user, "") of
        Line when is_binary(Line) ->
            %% What the node prints meanwhile does not end its lines.
            io:put_chars(user, [$\n, Answer(Line), $\n]),
            Again(Again);
        _ ->
            halt(0, [{flush, false}])
    end
end,
spawn(fun() -> Loop(Loop) end).
